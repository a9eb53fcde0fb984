"""Where workers come from: TF_CONFIG, Slurm's variables, and those of a pod of Kubernetes."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from dlcli.errors import DataError, DeviceError, UsageError
from dlcli.training.cluster import Cluster, find_cluster

from .conftest import CONFIGS, thorough

TWO = ["a:2222", "b:2222"]
SLURM = {
    "SLURM_JOB_ID": "5000", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "3",
    "SLURM_STEP_NODELIST": "node[01-03,7]", "SLURM_STEP_TASKS_PER_NODE": "1(x4)", "SLURM_NODEID": "3",
    "SLURM_LOCALID": "0",
}  # fmt: skip
POD = {
    "KUBERNETES_SERVICE_HOST": "10.0.0.1", "DLCLI_WORKERS": "3", "DLCLI_SERVICE": "train", "HOSTNAME": "mnist-cnn-2",
    "JOB_COMPLETION_INDEX": "2",
}  # fmt: skip


def tf_config(cluster: Any, task: Any) -> dict[str, str]:
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": task})}


def worker(index: Any) -> dict[str, Any]:
    return {"type": "worker", "index": index}


def without(environ: dict[str, str], *names: str, **others: str) -> dict[str, str]:
    return {**{name: value for name, value in environ.items() if name not in names}, **others}


@pytest.mark.parametrize(
    "environ",
    [
        {}, {"TF_CONFIG": ""}, {"TF_CONFIG": " "}, {"TF_CONFIG": "{}"}, {"TF_CONFIG": "null"},
        {"TF_CONFIG": '{"cluster": {}, "task": {}, "environment": "cloud"}'},
        # A batch script, which is one process; a pod that is no worker.
        {"SLURM_JOB_ID": "1", "SLURM_NTASKS": "4", "SLURM_PROCID": "0", "SLURM_NODELIST": "a,b"},
        {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "JOB_COMPLETION_INDEX": "0", "HOSTNAME": "sweep-0"},
        {"DLCLI_WORKERS": ""},
    ],
)  # fmt: skip
def test_no_cluster(environ: dict[str, str]) -> None:
    assert find_cluster(environ) is None


@pytest.mark.parametrize(
    ("environ", "workers", "index"),
    [
        (tf_config({"worker": TWO}, worker(1)), TWO, 1),
        (tf_config({"worker": TWO}, worker("0")), TWO, 0),  # as TensorFlow takes it
        (tf_config({"worker": ["a:1"]}, worker(0)), ["a:1"], 0),
        (tf_config({"chief": ["c:1"], "worker": TWO}, {"type": "chief", "index": 0}), ["c:1", *TWO], 0),
        (tf_config({"worker": TWO, "chief": ["c:1"]}, worker(1)), ["c:1", *TWO], 2),
        (tf_config({"chief": ["c:1"]}, {"type": "chief", "index": 0}), ["c:1"], 0),
        (
            tf_config({"worker": ["10.0.0.1:1", "[fe80::1]:65535", "w-2.train_x.svc:9"]}, worker(1)),
            ["10.0.0.1:1", "[fe80::1]:65535", "w-2.train_x.svc:9"], 1,
        ),
    ],
)  # fmt: skip
def test_tf_config(environ: dict[str, str], workers: list[str], index: int) -> None:
    # It goes before what else there is.
    cluster = find_cluster({**SLURM, **POD, **environ})
    assert cluster == Cluster(tuple(workers), index, "TF_CONFIG")
    assert cluster.is_chief == (index == 0)
    assert json.loads(cluster.tf_config()) == {"cluster": {"worker": workers}, "task": worker(index)}
    assert find_cluster({"TF_CONFIG": cluster.tf_config()}) == cluster


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"TF_CONFIG": "{'cluster': {}}"}, "TF_CONFIG is not JSON: Expecting property name"),
        ({"TF_CONFIG": "/etc/tf.json"}, "TF_CONFIG is not JSON"),
        ({"TF_CONFIG": "[" * 100_000}, "TF_CONFIG is not JSON"),
        ({"TF_CONFIG": "[1]"}, "TF_CONFIG is to be an object with keys; received [1]"),
        (tf_config(TWO, worker(0)), "`cluster` in TF_CONFIG is to be an object"),
        (tf_config({"worker": TWO}, 0), "`task` in TF_CONFIG is to be an object with keys; received 0"),
        (tf_config({"worker": TWO}, None), "`task` in TF_CONFIG is of no type"),
        (tf_config({"worker": TWO}, {"index": 0}), "`task` in TF_CONFIG is of no type"),
        (tf_config({"worker": TWO}, {"type": ["worker"], "index": 0}), '`task` in TF_CONFIG is of type ["worker"]'),
        (tf_config({"worker": TWO}, {"type": "evaluator", "index": 0}), 'of type "evaluator"; dlcli runs a `worker`'),
        (tf_config({"worker": TWO}, {"type": "worker"}), "whole number; there is none"),
        (tf_config({"worker": TWO}, worker("one")), 'whole number; received "one"'),
        (tf_config({"worker": TWO}, worker("²")), "whole number; received"),
        (tf_config({"worker": TWO}, worker(1.0)), "whole number; received 1.0"),
        (tf_config({"worker": TWO}, worker(True)), "whole number; received true"),
        (tf_config({"worker": TWO}, worker(2)), "this is worker 2, but names 2 workers, counted from 0"),
        (tf_config({"worker": TWO}, worker(-1)), "this is worker -1"),
        (tf_config({"worker": []}, worker(0)), "this is worker 0, but names 0 workers"),
        (tf_config({"worker": TWO}, {"type": "chief", "index": 0}), "this is chief 0, but names 0 chiefs"),
        (tf_config({"chief": TWO, "worker": []}, worker(0)), "TF_CONFIG names 2 chiefs; there can be one"),
        (tf_config({"worker": TWO, "ps": ["p:1"]}, worker(0)), "a job `ps`, which dlcli has no part for"),
        (tf_config({"worker": TWO, "evaluator": ["p:1"]}, worker(0)), "a job `evaluator`"),
        (tf_config({"master": ["m:1"], "worker": TWO}, worker(0)), "a job `master`"),
        (tf_config({"worker": "a:1,b:2"}, worker(0)), "`worker` in TF_CONFIG is to be a list of addresses; received"),
        (tf_config({"worker": {"0": "a:1"}}, worker(0)), "is to be a list of addresses"),
        (tf_config({"worker": [["a:1"]]}, worker(0)), "is to be a list of addresses"),
        (tf_config({"worker": None}, worker(0)), "is to be a list of addresses; received null"),
        (tf_config({"worker": ["a:1", "a:1"]}, worker(0)), "gives 2 workers the address `a:1`; each needs its own"),
        (tf_config({"worker": ["a:1", "A:1"]}, worker(0)), "gives 2 workers the address `a:1`"),
        (tf_config({"chief": ["a:1"], "worker": ["a:1"]}, worker(0)), "gives 2 workers the address `a:1`"),
        *(
            (tf_config({"worker": ["a:1", address]}, worker(0)), f"has the address `{address}`; `host:port` is needed")
            for address in (
                "b", "b:", ":1", "b:0", "b:65536", "b:x", "grpc://b:1", "b:1/", "b :1", " b:1", "::1:1", "[b]:1", "",
                "b:1\n", "b:٣",
            )
        ),
    ],
)  # fmt: skip
def test_a_wrong_tf_config_is_told(environ: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        find_cluster(environ)
    assert said in caught.value.message
    assert caught.value.hint
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("changed", "workers", "index"),
    [
        ({}, ["node01:12000", "node02:12000", "node03:12000", "node7:12000"], 3),
        (
            # Task 1 is the second one on the first node, and node9 comes before node10.
            {
                "SLURM_STEP_NODELIST": "node[9-10]", "SLURM_STEP_TASKS_PER_NODE": "3,1", "SLURM_PROCID": "1",
                "SLURM_NODEID": "0", "SLURM_LOCALID": "1",
            },
            ["node9:12000", "node9:12001", "node9:12002", "node10:12000"], 1,
        ),
        (
            {
                "SLURM_STEP_NODELIST": "gpu", "SLURM_STEP_TASKS_PER_NODE": "4", "SLURM_NODEID": "0",
                "SLURM_LOCALID": "3", "DLCLI_PORT": "700",
            },
            ["gpu:700", "gpu:701", "gpu:702", "gpu:703"], 3,
        ),
        (
            {"SLURM_STEP_NODELIST": "r[0-1]n[08-9]-ib", "SLURM_JOB_ID": "5001", "SLURM_STEP_ID": "2"},
            [f"{name}:28504" for name in ("r0n08-ib", "r0n09-ib", "r1n08-ib", "r1n09-ib")], 3,
        ),
        (
            {"SLURM_STEP_NODELIST": "b,a[99-100],c", "SLURM_STEP_TASKS_PER_NODE": "1(x2),1,1"},
            ["b:12000", "a99:12000", "a100:12000", "c:12000"], 3,
        ),
        (
            {
                "SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0", "SLURM_STEP_NODELIST": "n",
                "SLURM_STEP_TASKS_PER_NODE": "1", "SLURM_NODEID": "0",
            },
            ["n:12000"], 0,
        ),
    ],
)  # fmt: skip
def test_slurm(changed: dict[str, str], workers: list[str], index: int) -> None:
    assert find_cluster({**POD, **SLURM, **changed}) == Cluster(tuple(workers), index, "Slurm")


def test_jobs_and_steps_of_slurm_have_ports_of_their_own() -> None:
    ports = {
        find_cluster({**SLURM, "SLURM_JOB_ID": str(job), "SLURM_STEP_ID": str(step)}).workers[0]  # type: ignore[union-attr]
        for job in range(4990, 5010)
        for step in range(4)
    }
    assert len(ports) == 80
    assert all(12_000 <= int(address.split(":")[1]) < 32_768 for address in ports)


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        (without(SLURM, "SLURM_PROCID"), "Slurm is to set SLURM_PROCID, but it is not set"),
        (without(SLURM, "SLURM_STEP_NODELIST"), "Slurm is to set SLURM_STEP_NODELIST"),
        (without(SLURM, "SLURM_JOB_ID"), "Slurm is to set SLURM_JOB_ID"),
        (without(SLURM, SLURM_PROCID="-1"), "SLURM_PROCID is `-1`; a whole number is needed"),
        (without(SLURM, SLURM_STEP_NUM_TASKS="two"), "SLURM_STEP_NUM_TASKS is `two`; a whole number is needed"),
        (without(SLURM, SLURM_PROCID="4"), "do not fit together"),
        (without(SLURM, SLURM_STEP_NUM_TASKS="5"), "4 tasks on 4 nodes in SLURM_STEP_TASKS_PER_NODE, 5 in"),
        (without(SLURM, SLURM_STEP_TASKS_PER_NODE="4"), "4 nodes in SLURM_STEP_NODELIST, 4 tasks on 1 nodes"),
        (without(SLURM, SLURM_STEP_TASKS_PER_NODE="1x4"), "SLURM_STEP_TASKS_PER_NODE is `1x4`; numbers such as"),
        (without(SLURM, SLURM_STEP_TASKS_PER_NODE="1(x4),"), "numbers such as `2(x3),1` are needed"),
        (without(SLURM, SLURM_STEP_NODELIST="node[3-1]"), "no list of nodes: `3-1` is no range of nodes"),
        (without(SLURM, SLURM_STEP_NODELIST="node[0-9999999999]"), "`0-9999999999` is no range of nodes"),
        (without(SLURM, SLURM_STEP_NODELIST="node[a-b]"), "`a-b` is no range of numbers"),
        (without(SLURM, SLURM_STEP_NODELIST="node[]"), "`` is no range of numbers"),
        (without(SLURM, SLURM_STEP_NODELIST="node[1-2"), "is `node[1-2`, which is no list of nodes"),
        (without(SLURM, SLURM_STEP_NODELIST="a,,b"), "no list of nodes"),
        (without(SLURM, SLURM_STEP_NODELIST="a,b,c,a"), "Slurm gives 2 workers the address `a:12000`"),
        (without(SLURM, SLURM_STEP_NODELIST="a,b,c,d e"), "Slurm has the address `d e:12000`"),
        (without(SLURM, DLCLI_PORT="65536"), "Slurm has the address `node01:65536`"),
        (without(SLURM, DLCLI_PORT="http"), "DLCLI_PORT is `http`; a whole number is needed"),
        (
            without(SLURM, SLURM_STEP_TASKS_PER_NODE="2(x2)", SLURM_STEP_NODELIST="a,b", SLURM_PROCID="1",
                    SLURM_NODEID="1", SLURM_LOCALID="0"),
            "Slurm has task 1 as number 0 on node 1; with one node filled after the other it would be number 1 on node",
        ),
    ],
)  # fmt: skip
def test_what_slurm_cannot_mean_is_told(environ: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        find_cluster(environ)
    assert said in caught.value.message


@pytest.mark.parametrize(
    ("environ", "workers", "index"),
    [
        (POD, ["mnist-cnn-0.train:2222", "mnist-cnn-1.train:2222", "mnist-cnn-2.train:2222"], 2),
        # A StatefulSet: the index is in the host's name alone.
        (
            without(POD, "JOB_COMPLETION_INDEX", HOSTNAME="run-1", DLCLI_WORKERS="2", DLCLI_PORT="9"),
            ["run-0.train:9", "run-1.train:9"], 1,
        ),
        (without(POD, "DLCLI_SERVICE", DLCLI_WORKERS=" a:1, b:1 ,c:2 "), ["a:1", "b:1", "c:2"], 2),
        (without(POD, DLCLI_WORKERS="a:1,b:1", HOSTNAME="x", JOB_COMPLETION_INDEX="0"), ["a:1", "b:1"], 0),
        (without(POD, DLCLI_WORKERS="1", HOSTNAME="x-0", JOB_COMPLETION_INDEX="0"), ["x-0.train:2222"], 0),
    ],
)  # fmt: skip
def test_kubernetes(environ: dict[str, str], workers: list[str], index: int) -> None:
    assert find_cluster(environ) == Cluster(tuple(workers), index, "Kubernetes")


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        (without(POD, DLCLI_WORKERS="two"), "DLCLI_WORKERS is `two`; a whole number is needed"),
        (without(POD, DLCLI_WORKERS="0"), "DLCLI_WORKERS is 0; there is at least one worker"),
        (without(POD, DLCLI_WORKERS="-3"), "DLCLI_WORKERS is `-3`; a whole number is needed"),
        (without(POD, DLCLI_WORKERS="999999999"), "DLCLI_WORKERS is 999999999"),
        (without(POD, DLCLI_WORKERS="2"), "the index 2, but DLCLI_WORKERS is `2`: 2 workers from 0"),
        (without(POD, DLCLI_WORKERS="a:1,b:1"), "the index 2, but DLCLI_WORKERS is `a:1,b:1`: 2 workers"),
        (without(POD, DLCLI_WORKERS="a:1,b:1,a:1"), "DLCLI_WORKERS gives 2 workers the address `a:1`"),
        (without(POD, DLCLI_WORKERS="a:1,b,c:1"), "DLCLI_WORKERS has the address `b`; `host:port` is needed"),
        (without(POD, "DLCLI_SERVICE"), "DLCLI_SERVICE is not set"),
        (without(POD, DLCLI_SERVICE="a b"), "has the address `mnist-cnn-0.a b:2222`"),
        (without(POD, JOB_COMPLETION_INDEX="x"), "JOB_COMPLETION_INDEX is `x`; a whole number is needed"),
        (without(POD, JOB_COMPLETION_INDEX="1"), "The host name of pod 1 is `mnist-cnn-2`; it is to end in `-1`"),
        (without(POD, "HOSTNAME"), "The host name of pod 2 is ``"),
        (without(POD, "JOB_COMPLETION_INDEX", HOSTNAME="mnist"), "not which of them this is: the host name is `mnist`"),
        (without(POD, "JOB_COMPLETION_INDEX", "HOSTNAME"), "not which of them this is"),
        (without(POD, DLCLI_PORT="x"), "DLCLI_PORT is `x`; a whole number is needed"),
    ],
)
def test_what_a_pod_cannot_be_is_told(environ: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        find_cluster(environ)
    assert said in caught.value.message


@thorough
def test_tensorflows_own_resolver_agrees_where_it_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    import tensorflow as tf

    def theirs(**changed: str) -> list[str]:
        for name, value in {**SLURM, **changed}.items():
            monkeypatch.setenv(name, value)
        resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
            port_base=12_000, gpus_per_node=4, gpus_per_task=1, auto_set_gpu=False
        )
        workers: list[str] = resolver.cluster_spec().as_dict()["worker"]
        return workers

    def ours() -> list[str]:
        cluster = find_cluster(os.environ)
        assert cluster is not None
        return list(cluster.workers)

    assert theirs() == ours()
    pairs = {"SLURM_STEP_TASKS_PER_NODE": "2(x2)", "SLURM_NODEID": "1", "SLURM_LOCALID": "1"}
    assert theirs(SLURM_STEP_NODELIST="node[09-10]", **pairs) == ours()
    # What keeps dlcli from using it: tasks are dealt out as Slurm lists the nodes, which is by number.
    assert theirs(SLURM_STEP_NODELIST="node[9-10]", **pairs)[0] == "node10:12000"
    assert ours()[0] == "node9:12000"


def _documents() -> dict[str, Any]:
    text = (CONFIGS / "cluster" / "kubernetes.yaml").read_text(encoding="utf-8")
    return {document["kind"]: document for document in yaml.safe_load_all(text)}


def _see_that_it_trains(command: list[str]) -> None:
    from dlcli.cli.app import app

    group: Any = typer.main.get_command(app)
    with typer.Context(group) as context:
        asked = group.get_command(context, command[1]).make_context(command[1], command[2:]).params
    assert command[:2] == ["dlcli", "train"]
    assert (asked["config"].name, asked["strategy"], asked["resume"]) == ("mnist_cnn.yaml", "multi_worker", "auto")


def test_the_manifest_for_kubernetes_makes_workers() -> None:
    found = _documents()
    job, service = found["Job"]["spec"], found["Service"]["spec"]
    pod = job["template"]["spec"]
    name, subdomain = found["Job"]["metadata"]["name"], found["Service"]["metadata"]["name"]
    assert job["completionMode"] == "Indexed"
    assert pod["subdomain"] == subdomain
    assert (service["clusterIP"], service["publishNotReadyAddresses"]) == ("None", True)
    label = {"batch.kubernetes.io/job-name": name}
    policy = found["NetworkPolicy"]["spec"]
    assert service["selector"] == policy["podSelector"]["matchLabels"] == label
    assert policy["ingress"] == [{"from": [{"podSelector": {"matchLabels": label}}]}]
    assert pod["restartPolicy"] == "Never"  # as podFailurePolicy has to have it
    (final,) = (rule["onExitCodes"] for rule in job["podFailurePolicy"]["rules"] if rule["action"] == "FailJob")
    assert final["values"] == [error.exit_code for error in (UsageError, DataError, DeviceError)]
    (container,) = pod["containers"]
    (mount,), (volume,) = container["volumeMounts"], pod["volumes"]
    assert (mount["name"], mount["mountPath"]) == (volume["name"], container["workingDir"])
    assert volume["persistentVolumeClaim"]["claimName"] == found["PersistentVolumeClaim"]["metadata"]["name"]
    environ = {one["name"]: one["value"] for one in container["env"]}
    count = job["completions"]
    assert count == job["parallelism"]
    port = service["ports"][0]["port"]
    assert container["ports"][0]["containerPort"] == port
    workers = tuple(f"{name}-{index}.{subdomain}:{port}" for index in range(count))
    for index in range(count):
        # What Kubernetes adds to that, in a pod of an Indexed Job.
        own = {"JOB_COMPLETION_INDEX": str(index), "HOSTNAME": f"{name}-{index}", "KUBERNETES_SERVICE_HOST": "10.0.0.1"}
        assert find_cluster({**environ, **own}) == Cluster(workers, index, "Kubernetes")
    _see_that_it_trains(container["command"])


SRUN = """#!/bin/bash
echo "$@" >> calls
exit $CODE
"""


@pytest.mark.parametrize(
    ("code", "restarts", "queues"),
    [(0, 0, False), (2, 0, False), (143, 99, True), (4, 0, True), (137, 3, True), (4, 10, False)],
)
def test_the_script_for_slurm_makes_workers(code: int, restarts: int, queues: bool, tmp_path: Path) -> None:
    script = CONFIGS / "cluster" / "slurm.sh"
    asked = dict(re.findall(r"^#SBATCH --([a-z-]+)=?(.*)$", script.read_text(encoding="utf-8"), re.MULTILINE))
    for name in ("srun", "scontrol"):
        (tmp_path / name).write_text(SRUN.replace('"$@"', f'{name} "$@"'), encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    job = {"SLURM_JOB_ID": "77", "SLURM_CPUS_PER_TASK": asked["cpus-per-task"], "SLURM_RESTART_COUNT": str(restarts)}
    environ = {**os.environ, **job, "PATH": f"{tmp_path}:{os.environ['PATH']}", "CODE": str(code)}
    done = subprocess.run(["bash", script], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")
    calls = [line.split() for line in (tmp_path / "calls").read_text(encoding="utf-8").splitlines()]
    assert calls[1:] == ([["scontrol", "requeue", "77"]] if queues else [])
    if code:
        return
    assert "--distribution=block" in calls[0]
    _see_that_it_trains(calls[0][calls[0].index("dlcli") :])
    nodes, tasks = int(asked["nodes"]), int(asked["ntasks-per-node"])
    step = {
        "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": str(nodes * tasks), "SLURM_STEP_NODELIST": f"n[1-{nodes}]",
        "SLURM_STEP_TASKS_PER_NODE": f"{tasks}(x{nodes})",
    }  # fmt: skip
    for index in range(nodes * tasks):
        place = {"SLURM_PROCID": str(index), "SLURM_NODEID": str(index // tasks), "SLURM_LOCALID": str(index % tasks)}
        cluster = find_cluster({**job, **step, **place})
        assert cluster is not None
        assert (len(cluster.workers), cluster.index, cluster.origin) == (nodes * tasks, index, "Slurm")
