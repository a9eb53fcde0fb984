#!/bin/bash
# A training on two nodes, a worker on each, for your own sizes: sbatch slurm.sh
#
# The folder it is submitted from is shared by the nodes, and holds the spec (mnist_cnn.yaml) and the runs (runs/).
# At the end of its time, or when a worker is lost, the job queues again and goes on from the last checkpoint.
#SBATCH --job-name=mnist_cnn
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --mem=16G
#SBATCH --time=04:00:00
#SBATCH --signal=TERM@300
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log
# With GPUs, one for each worker: a line `#SBATCH --gpus-per-task=1`.
set -uo pipefail

# Where Slurm does not bind a task to its processors, TensorFlow counts the whole node's.
export TF_NUM_INTRAOP_THREADS=$SLURM_CPUS_PER_TASK

# Node by node, as dlcli counts the workers. Each notices itself when another is lost, and says so; --wait ends what
# hangs, and --kill-on-bad-exit=1 would end the worker that is saving.
srun --distribution=block --cpus-per-task="$SLURM_CPUS_PER_TASK" --label --kill-on-bad-exit=0 --wait=600 \
    dlcli train mnist_cnn.yaml --strategy multi_worker --resume auto
code=$?

# 143: stopped by SIGTERM, five minutes before the end of its time. 4: a worker was lost; srun says 137 if it was killed.
if [[ $code == 143 || ($code == 4 || $code == 137) && ${SLURM_RESTART_COUNT:-0} -lt 10 ]]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
