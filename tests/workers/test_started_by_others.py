"""What docs/workers.md has for Slurm, Kubernetes and Ray: its commands with stand-ins for what starts them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from engine.workers.cluster import cluster
from tests.scripts.running import ROOT

PAGE = (ROOT / "docs" / "workers.md").read_text()
SCRIPTS = {"scontrol": 'echo node7; echo node9',
           "srun": 'while [[ $1 == --* ]]; do shift; done\n'
                   'for SLURM_PROCID in 0 1 2 3; do export SLURM_PROCID; "$@"; done\n'
                   'echo start >> starts; [ $(wc -l < starts) -ge ${GOOD_AT:-1} ] || exit ${CODE:-75}',
           "phaseloop": 'echo "$TF_CONFIG" >> told; echo "$TF_NUM_INTRAOP_THREADS $*" >> with'}


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.fixture
def run(tmp_path):
    """Runs bash with the stand-ins on its path; its exit code, the TF_CONFIGs that were told, what was run."""
    for name, text in SCRIPTS.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{text}\n")
        (tmp_path / name).chmod(0o755)

    def bash(text, **environment):
        done = subprocess.run(["bash", "-c", text], cwd=tmp_path, timeout=60, check=False, env={
            **os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", **environment})
        return done.returncode, *((tmp_path / name).read_text().splitlines() for name in ("told", "with"))

    return bash


def test_two_hosts_by_hand(run):
    code, told, _ = run(blocks("bash")[0])
    assert code == 0 and cluster(told[0]) == (0, (("host1", 2222), ("host2", 2222)))


SLURM = {"SLURM_JOB_ID": "4321", "SLURM_NTASKS": "4", "SLURM_NNODES": "2", "SLURM_CPUS_PER_TASK": "8",
         "SLURM_JOB_NODELIST": "node[7,9]"}


@pytest.mark.parametrize("good_at, lost, code, starts", [(1, 75, 0, 1), (2, 75, 0, 2), (3, 137, 0, 3), (9, 75, 75, 4),
                                                          (9, 2, 2, 1), (9, 143, 143, 1)])
def test_slurm(run, good_at, lost, code, starts):
    found, told, ran = run(blocks("bash")[1], **SLURM, GOOD_AT=str(good_at), CODE=str(lost))
    assert found == code and len(told) == 4 * starts
    hosts = (("node7", 24321), ("node7", 24322), ("node9", 24321), ("node9", 24322))
    assert [cluster(each) for each in told[:4]] == [(rank, hosts) for rank in range(4)]
    assert ran[0] == "8 train-vae --epochs 20 --run-dir runs/vae"


def test_kubernetes(run):
    yaml = pytest.importorskip("yaml")
    service, job = yaml.safe_load_all(blocks("yaml")[0])
    spec = job["spec"]
    pod = spec["template"]["spec"]
    (worker,) = pod["containers"]
    environment = {each["name"]: each["value"] for each in worker["env"]}
    assert service["metadata"]["name"] == pod["subdomain"] and service["spec"]["selector"] == {
        "job-name": job["metadata"]["name"]}
    assert int(environment["WORKERS"]) == spec["completions"] == spec["parallelism"]
    assert {each["onExitCodes"]["containerName"] for each in spec["podFailurePolicy"]["rules"][:2]} == {worker["name"]}
    assert worker["command"] == ["bash", "-c"]
    for index in range(4):
        _, told, ran = run(worker["args"][0], **environment, JOB_COMPLETION_INDEX=str(index))
    hosts = tuple((f"vae-{index}.vae", 2222) for index in range(4))
    assert [cluster(each) for each in told] == [(rank, hosts) for rank in range(4)]
    assert ran[0] == "4 train-vae --epochs 20 --run-dir /runs/vae"


@pytest.mark.fault
def test_ray_starts_all_again_when_a_worker_is_killed_and_the_bits_are_the_same(tmp_path):
    pytest.importorskip("ray")
    said = {}
    for kill in ("", "kill"):
        done = subprocess.run([sys.executable, "-m", "tests.workers.ray_trial", tmp_path / f"run{kill}", *kill.split()],
                              cwd=ROOT, capture_output=True, text=True, timeout=900, check=True,
                              env={**os.environ, "PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0"})
        said[kill] = json.loads(done.stdout.splitlines()[-1])
    assert said["kill"].pop("starts") > said[""].pop("starts") == 1
    assert said["kill"] == said[""]


def test_the_page_names_every_variable_of_the_environment():
    sources = "".join(path.read_text() for path in Path(ROOT / "engine" / "workers").glob("*.py"))
    assert set(re.findall(r"PHASELOOP_[A-Z]+(?:_[A-Z]+)?", sources)) == set(
        re.findall(r"^\| `(PHASELOOP_\w+)`", PAGE, flags=re.MULTILINE))
