"""`dlcli doctor`: what it says of what it finds. No GPU is here, and little is wrong: what is found is made up."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dlcli.doctoring import gpu as gpu_module
from dlcli.doctoring.examining import build_of, examine
from dlcli.doctoring.finding import Finding, listed, numbers_of
from dlcli.doctoring.gpu import LIBRARIES, Build, Card, Gpu, cards_of, libraries_of, look_at_gpu, with_tensorflow
from dlcli.doctoring.gpu_rules import judge_gpu
from dlcli.doctoring.machine import Folder, Machine, judge_machine, look_at_machine
from dlcli.doctoring.software import Needed, Software, judge_software, look_at_software
from tests.conftest import Command

BUILD = Build("12.5.1", "9", ("sm_60", "sm_70", "sm_80", "sm_89", "compute_90"))
FOUND: dict[str, Path | None] = {name: Path("/site/nvidia/x/lib") / name for name in libraries_of(BUILD)}
H100 = Card(0, "NVIDIA H100", 80 * 2**30, 79 * 2**30, (9, 0))
WORKING = Gpu(
    on_bus=1, driver="550.54.15", reachable=True, smi="", cards=(H100,), libraries=FOUND, build=BUILD, seen=("gpu:0",),
    packages=(Needed("nvidia-cudnn-cu12", ">=9.3,<10", "9.5.1", fits=True),),
)  # fmt: skip
MACHINE = Machine(
    "A processor", frozenset({"avx", "avx2", "fma"}), 8, 8, None, 0.1, None, 2**34, 2**33, 2**40, Folder(Path("runs")),
    Folder(Path("/cache")), Folder(None), (("mnist",), ("imdb",)),
)  # fmt: skip
TENSORFLOW = Needed("tensorflow", ">=2.21,<2.22", "2.21.0", fits=True)
SOFTWARE = Software("3.11.7", "/usr/bin/python", "0.1.0", (TENSORFLOW,), {"serve": ()}, ("tensorflow",))


def lost(*names: str) -> dict[str, Path | None]:
    return {**FOUND, **dict.fromkeys(names)}


def only_bad(findings: Iterable[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.state != "ok"]


def test_a_machine_without_a_gpu_lacks_nothing() -> None:
    assert [finding.state for finding in judge_gpu(Gpu(build=BUILD))] == ["ok"]
    for system, says in (("Darwin", "none on Darwin"), ("Windows", "none on Windows")):
        [finding] = judge_gpu(Gpu(system=system))
        assert (finding.state, says in finding.found) == ("ok", True)
    assert next(judge_gpu(Gpu(system="Darwin", seen=("gpu:0",)))).found == "gpu:0"


def test_a_gpu_that_works() -> None:
    findings = list(judge_gpu(WORKING))
    assert {finding.state for finding in findings} == {"ok"}
    assert [finding.name for finding in findings] == ["driver", "CUDA", "cuDNN", "gpu:0", "TensorFlow"]
    assert "79.0 GB of 80.0 GB free" in findings[3].found
    assert "525 or newer" in findings[0].found


GPUS: dict[str, tuple[Gpu, str, str, str]] = {
    "no driver": (
        Gpu(on_bus=1, build=BUILD), "driver", "its driver does not run", "ubuntu-drivers install",
    ),
    "a container without its GPU": (
        replace(WORKING, reachable=False, cards=(), smi=None, seen=()), "driver", "no /dev/nvidiactl", "--gpus all",
    ),
    "a driver that was replaced": (
        replace(WORKING, smi="Failed to initialize NVML: Driver/library version mismatch", seen=()),
        "driver", "version mismatch", "start the machine anew",
    ),
    "a driver that fails": (
        replace(WORKING, smi="No devices were found", seen=()), "driver", "No devices were found", "nvidia.com/drivers",
    ),
    "a driver that is too old": (
        replace(WORKING, driver="470.82.01", seen=()), "driver", "CUDA 12.5.1, which needs 525 or newer", "drivers",
    ),
    "a TensorFlow for the CPU": (
        replace(WORKING, build=Build(None, None), seen=()), "TensorFlow", "built without CUDA",
        "pip install 'dlcli[gpu]'",
    ),
    "no CUDA": (
        replace(WORKING, libraries=lost("libcublas.so.12", "libcufft.so.11"), seen=()), "CUDA",
        "CUDA 12.5.1, of which there is no libcublas.so.12 and libcufft.so.11",
        "pip install 'dlcli[gpu]'`, which brings them: nvidia-cublas-cu12 nvidia-cufft-cu12",
    ),
    "no cuDNN": (
        replace(WORKING, libraries=lost("libcudnn.so.9"), seen=()), "cuDNN",
        "cuDNN 9, of which there is no libcudnn.so.9", "nvidia-cudnn-cu12",
    ),
    "another cuDNN": (
        replace(WORKING, packages=(Needed("nvidia-cudnn-cu12", ">=9.3,<10", "8.9.7", fits=False),)), "cuDNN",
        "nvidia-cudnn-cu12 8.9.7 (>=9.3,<10 is needed)", "dlcli[gpu]",
    ),
    "an older cuDNN before it": (
        replace(WORKING, older=(Path("/usr/lib/libcudnn.so.8"),)), "LD_LIBRARY_PATH",
        "puts /usr/lib/libcudnn.so.8 before cuDNN 9", "unset LD_LIBRARY_PATH",
    ),
    "a GPU that is too old": (
        replace(WORKING, cards=(replace(H100, name="Tesla K80", capability=(3, 7)),), seen=()), "gpu:0",
        "Tesla K80 has compute capability 3.7; this TensorFlow needs 6.0", "older TensorFlow",
    ),
    "a GPU that others use": (
        replace(WORKING, cards=(replace(H100, free=2**30),)), "gpu:0", "1.0 GB of 80.0 GB free: other programs",
        "nvidia-smi",
    ),
    "a GPU that is hidden": (
        replace(WORKING, visible="-1", seen=()), "TensorFlow", "CUDA_VISIBLE_DEVICES=-1 hides",
        "unset CUDA_VISIBLE_DEVICES",
    ),
    "a GPU that TensorFlow does not see": (
        replace(WORKING, seen=(), log=("Cannot dlopen some GPU libraries.",)), "TensorFlow",
        "It sees no GPU: the CPU trains. It says: Cannot dlopen", "what it says",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", GPUS)
def test_what_is_wrong_with_a_gpu(case: str) -> None:
    gpu, name, says, advice = GPUS[case]
    first = only_bad(judge_gpu(gpu))[0]
    assert first.name == name
    assert says in first.found
    assert advice in str(first.advice)
    assert not first.is_fatal
    if not gpu.seen and name != "TensorFlow":
        assert list(judge_gpu(gpu))[-1].name in ("TensorFlow", "driver")


def test_what_a_gpu_is_told_by(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = "0, NVIDIA H100 80GB HBM3, 81559, 80995, 9.0, 550.54.15\n1, Tesla T4, 15360, [N/A], 7.5, [N/A]\nnothing\n"
    first, second = cards_of(text)
    assert (first.name, first.free, first.capability) == ("NVIDIA H100 80GB HBM3", 80995 * 2**20, (9, 0))
    assert (second.number, second.free) == (1, 0)
    assert (first.driver, second.driver) == ("550.54.15", "")
    assert numbers_of("535.161.08") > numbers_of("525")
    assert look_at_gpu().system == "Linux"

    (tmp_path / "nvidia" / "cudnn" / "lib").mkdir(parents=True)
    (tmp_path / "nvidia" / "cudnn" / "lib" / "libcudnn.so.9").touch()
    (tmp_path / "system").mkdir()
    for name in ("libcudnn.so.8", "libcudnn.so.8.9", "libcudart.so.12"):
        (tmp_path / "system" / name).touch()
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    monkeypatch.setenv("LD_LIBRARY_PATH", f"{tmp_path / 'system'}:/nowhere:")
    system = "\tlibcublas.so.12 (libc6,x86-64) => /usr/lib/libcublas.so.12\n"
    monkeypatch.setattr(gpu_module, "_of_system", lambda: system)
    log = "2026-11-22 10:00:00: W gpu_device.cc:2342] Cannot dlopen some GPU libraries.\nI nothing\n"
    found = with_tensorflow(Gpu(), BUILD, ["gpu:0"], log)
    places = {name: str(path) for name, path in found.libraries.items() if path is not None}
    assert places == {
        "libcudnn.so.9": str(tmp_path / "nvidia" / "cudnn" / "lib" / "libcudnn.so.9"),
        "libcudart.so.12": str(tmp_path / "system" / "libcudart.so.12"),
        "libcublas.so.12": "/usr/lib/libcublas.so.12",
    }
    assert [path.name for path in found.older] == ["libcudnn.so.8"]
    assert found.log == ("Cannot dlopen some GPU libraries.",)


def test_what_a_program_prints_that_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "nvidia-smi"
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert gpu_module._smi() == (None, ())
    program.write_text("#!/bin/sh\necho 'No devices were found'; exit 6\n")
    program.chmod(0o755)
    assert gpu_module._smi() == ("No devices were found", ())
    program.write_text("#!/bin/sh\necho '0, A, 10, 5, 8.0, 552.1'\n")
    assert gpu_module._smi() == ("", (Card(0, "A", 10 * 2**20, 5 * 2**20, (8, 0), "552.1"),))
    assert look_at_gpu().driver == "552.1"


def test_what_tensorflow_is_built_for() -> None:
    assert build_of({"is_cuda_build": False}) == Build(None, None)
    info = {
        "is_cuda_build": True,
        "cuda_version": "12.5.1",
        "cudnn_version": "9",
        "cuda_compute_capabilities": ["sm_60"],
    }
    assert build_of(info) == Build("12.5.1", "9", ("sm_60",))
    assert libraries_of(Build("99.1", "9")) == {}  # of which nothing is known here
    assert "libcudnn.so.9" in libraries_of(BUILD)
    assert set(LIBRARIES[12]) < set(libraries_of(BUILD))


MACHINES: dict[str, tuple[dict[str, Any], str, str, str, str]] = {
    "no AVX": ({"instructions": frozenset({"sse4_2"})}, "instructions", "bad", "no AVX", "2012"),
    "no AVX2": ({"instructions": frozenset({"avx"})}, "instructions", "warn", "no AVX2", ""),
    "a container's limit": ({"quota": 1.5}, "cores", "warn", "limit gives the time of 1.5", "cpuset"),
    "oneDNN off": ({"onednn": "0"}, "oneDNN", "warn", "TF_ENABLE_ONEDNN_OPTS=0", "unset"),
    "others at work": ({"load": 7.3}, "load", "warn", "7.3 processes", "top"),
    "little memory": ({"available": 2**30}, "memory", "warn", "16.0 GB, 1.0 GB free", "half a GB"),
    "a disk that is nearly full": ({"disk": 2**29}, "disk", "warn", "0.5 GB free", "runs remove"),
    "a disk that is full": ({"disk": 2**20}, "disk", "bad", "0.0 GB free", "runs remove"),
    "runs that cannot be written": (
        {"runs": Folder(Path("runs"), "Nothing can be written to /: Permission denied.")}, "runs", "bad", "denied",
        "--runs-dir",
    ),
    "a cache that cannot be written": (
        {"cache": Folder(Path("x"), "x is a file, not a folder.")}, "cache", "bad", "not a folder", "XDG_CACHE_HOME",
    ),
    "no folder of data": (
        {"data": Folder(Path("d"), "There is no d.", exists=False)}, "folder", "warn", "no d", "DLCLI_DATA_DIR",
    ),
    "data that cannot be read": (
        {"data": Folder(Path("d"), "d cannot be read.")}, "folder", "bad", "read", "--data-dir",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", MACHINES)
def test_what_is_wrong_with_a_machine(case: str) -> None:
    changes, name, state, says, advice = MACHINES[case]
    [finding] = only_bad(judge_machine(replace(MACHINE, **changes)))
    assert (finding.name, finding.state) == (name, state)
    assert says in finding.found
    assert advice in str(finding.advice)
    assert finding.is_fatal == (case == "no AVX")


def test_a_machine_that_is_as_it_should_be() -> None:
    findings = list(judge_machine(MACHINE))
    assert not only_bad(findings)
    assert {finding.name: finding.found for finding in findings}["here"] == "mnist: no network is needed."
    unknown = replace(
        MACHINE, processor=None, instructions=frozenset(), load=None, memory=None, disk=None, available=None,
        sets=((), ()), data=Folder(Path("/data")),
    )  # fmt: skip
    assert not only_bad(judge_machine(unknown))


def test_what_this_machine_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DLCLI_DATA_DIR", raising=False)
    file = tmp_path / "file"
    file.touch()
    found = look_at_machine(tmp_path / "new" / "runs", tmp_path / "none")
    assert found.cores >= 1
    assert found.memory is not None
    assert (found.runs.problem, found.runs.exists) == (None, False)
    assert not (tmp_path / "new").exists()
    assert found.data.problem == f"There is no {tmp_path / 'none'}."
    for data_dir, problem in ((file, "is a file, not a folder."), (tmp_path, None)):
        problem_there = look_at_machine(file, data_dir).data.problem
        assert (problem_there or "").endswith(problem or "")
    assert look_at_machine(file, None).runs.problem == f"{file} is a file, not a folder."

    def refuse(**arguments: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("dlcli.doctoring.machine.tempfile.NamedTemporaryFile", refuse)
    assert look_at_machine(tmp_path, None).runs.problem == f"Nothing can be written to {tmp_path}: Permission denied."


PACKAGES: dict[str, tuple[dict[str, Any], str, str, str, str]] = {
    "no TensorFlow": (
        {"needed": (replace(TENSORFLOW, installed=None, fits=False),)}, "tensorflow", "bad", "not installed",
        "pip install 'tensorflow>=2.21,<2.22'",
    ),
    "another TensorFlow": (
        {"needed": (replace(TENSORFLOW, installed="2.16.1", fits=False),)}, "tensorflow", "warn",
        "2.16.1 was not tested with this dlcli; >=2.21,<2.22 was", "pip install",
    ),
    "another package": (
        {"needed": (TENSORFLOW, Needed("rich", ">=15", "13.0", fits=False))}, "rich", "warn",
        "13.0 was not tested", "'rich>=15'",
    ),
    "two TensorFlows": (
        {"tensorflows": ("tensorflow", "tensorflow-cpu")}, "tensorflow", "bad",
        "write over each other's files", "uninstall",
    ),
    "an extra of other versions": (
        {"extras": {"export": (Needed("onnx", ">=1.20,<2", "1.15.0", fits=False),)}}, "[export]", "warn",
        "onnx 1.15.0 (tested: >=1.20,<2)", "pip install 'dlcli[export]'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", PACKAGES)
def test_what_is_wrong_with_packages(case: str) -> None:
    changes, name, state, says, advice = PACKAGES[case]
    [finding] = only_bad(judge_software(replace(SOFTWARE, **changes)))
    assert (finding.name, finding.state) == (name, state)
    assert says in finding.found
    assert advice in str(finding.advice)
    assert finding.is_fatal == (case == "no TensorFlow")


def test_extras_that_are_not_here_are_no_fault() -> None:
    missing = Needed("onnx", ">=1.20", None, fits=False)
    findings = list(judge_software(replace(SOFTWARE, extras={"serve": (), "export": (missing,)})))
    assert not only_bad(findings)
    assert findings[-2].found == "serve: all that they need is here."
    assert findings[-1].found.endswith("`pip install 'dlcli[export]'` is for onnx and tflite in `dlcli export`.")
    assert listed(["a", "b", "c"]) == "a, b and c"


def test_what_is_installed_here() -> None:
    software = look_at_software()
    assert {one.name for one in software.needed} >= {"tensorflow", "keras", "numpy"}
    assert [one.name for one in software.needed if one.installed is None] == []
    assert not any("cuda" in one.name for one in software.needed)
    assert "dev" not in software.extras


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test of speed that takes no time to speak of."""
    monkeypatch.setattr("dlcli.doctoring.speed._EACH", 0.0)


def test_the_command(quick: None, dlcli: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    done = dlcli("doctor", "--runs-dir", tmp_path / "runs")
    assert done.code == 0, done.err
    for words in ("software\n", "tensorflow", "GPU\n", "memory and disk\n", "product of matrices", "GFLOP/s"):
        assert words in done.out
    assert [line for line in done.out.splitlines() if len(line) > 80] == []
    assert "measuring: copying memory" in done.err
    assert list(tmp_path.iterdir()) == []


def test_the_command_for_programs(dlcli: Command, tmp_path: Path) -> None:
    done = dlcli("doctor", "--json", "--no-speed", "--runs-dir", tmp_path)
    assert done.code == 0
    assert done.json["usable"]
    assert done.json["speed"] == {}
    assert {finding["state"] for finding in done.json["findings"]} <= {"ok", "warn", "bad"}
    assert done.err == ""


def test_what_cannot_be_used_at_all(dlcli: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(device: str) -> Any:
        raise ImportError("libcudart.so.12: cannot open shared object file")

    monkeypatch.setattr("dlcli.training.backend.start_backend", broken)
    done = dlcli("doctor")
    assert done.code == 5
    assert "It does not start: ImportError: libcudart.so.12" in " ".join(done.out.split())
    assert "dlcli cannot be used here" in done.out

    monkeypatch.setattr("dlcli.doctoring.examining.look_at_software", lambda: replace(SOFTWARE, needed=(
        replace(TENSORFLOW, installed=None, fits=False),
    )))  # fmt: skip
    done = dlcli("doctor", "--json")
    assert (done.code, done.json["usable"], done.json["device"]) == (5, False, None)


def test_a_device_that_fails_while_it_is_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def broken(tell: Any) -> Any:
        raise RuntimeError("CUDNN_STATUS_NOT_INITIALIZED\nmore")

    monkeypatch.setattr("dlcli.doctoring.speed.measure", broken)
    found = examine(tmp_path, None, measures=True, tell=lambda text: None, log=lambda: "")
    assert found.findings[-1].found.endswith("RuntimeError: CUDNN_STATUS_NOT_INITIALIZED")
    assert (found.findings[-1].state, found.is_usable, found.figures) == ("bad", True, {})


def test_figures_of_other_machines_were_measured(quick: None) -> None:
    from dlcli.doctoring.speed import FIGURES, measure, reference_machines

    keys = {figure.key for figure in FIGURES}
    for machine in reference_machines():
        assert set(machine["figures"]) == keys
        assert {"name", "processor", "cores", "measured", "tensorflow", "keras"} <= set(machine)
    told: list[str] = []
    assert measure(told.append, seconds=-1.0) == {}  # there is no time for any
    assert told == []


def test_a_log_without_a_word_on_gpus() -> None:
    assert with_tensorflow(Gpu(), Build(None, None), [], "nothing\n").log == ()
