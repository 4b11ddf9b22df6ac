"""Training on two machines, which are two network namespaces of this one with a cable between them; needs root.

    sudo python tests/benchmarks/two_machines.py

Two processes each. Says how far losses, weights and predictions are from those of one process with the same global
batch; after how many seconds both launchers have ended when a process of the second machine is killed, and what was
said; and whether `torchrun --max_restarts 1` ends in the weights of a run that nothing happened to.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
from safetensors.numpy import load_file

ROOT = Path(__file__).parents[2]
MACHINES = {"hfcls-a": "10.77.0.1", "hfcls-b": "10.77.0.2"}
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "PYTHONPATH": str(ROOT),
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
}
# Otherwise torchrun (read in 2.13) lets restarted processes find the addresses of those before them, and they wait for
# each other in vain.
ANEW = {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
RECIPE = (
    "recipes/text_classification.py --architecture text_cnn --embedding_dim 8 --tokens word --num_train_epochs 4 "
    "--per_device_train_batch_size 4 --use_cpu True --bf16 False --floor no --logging_steps 10 "
    "--resume_from_checkpoint auto"
).split()


@contextmanager
def network() -> Iterator[None]:
    """The two namespaces, `veth0` in each of them."""
    first, second = MACHINES
    ip = [f"netns add {name}" for name in MACHINES]
    ip += [f"link add veth0 netns {first} type veth peer name veth0 netns {second}"]
    for name, address in MACHINES.items():
        ip += [f"-n {name} addr add {address}/24 dev veth0"]
        ip += [f"-n {name} link set {device} up" for device in ("veth0", "lo")]
    try:
        for words in ip:
            subprocess.run(["ip", *words.split()], check=True)
        yield
    finally:
        for name in MACHINES:
            subprocess.run(["ip", "netns", "del", name], check=False)


def start(words: list[str], port: int, restarts: int = 0) -> list[psutil.Popen]:
    """`words` on both machines, by torchrun with two processes each."""
    launchers = []
    address = f"{next(iter(MACHINES.values()))}:{port}"
    for name, local in MACHINES.items():
        flags = f"--nnodes 2 --nproc_per_node 2 --max_restarts {restarts} --rdzv_id {port} --local_addr {local}"
        first = "true" if address.startswith(f"{local}:") else "false"  # which torchrun makes out by names of hosts
        flags += f" --rdzv_backend c10d --rdzv_endpoint {address} --rdzv_conf is_host={first}"
        command = ["ip", "netns", "exec", name, sys.executable, "-m", "torch.distributed.run", *flags.split(), *words]
        environment = {**os.environ, **ENVIRONMENT, "GLOO_SOCKET_IFNAME": "veth0", **ANEW}
        launchers.append(psutil.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True))
    return launchers


def finish(launchers: list[psutil.Popen]) -> list[str]:
    """What the launchers and their processes said, once they have ended."""
    return [launcher.communicate(timeout=1800)[1] for launcher in launchers]


def compare_to_one_process(folder: Path) -> None:
    worker = ["tests/worker.py", "gradients"]
    one, four = folder / "one", folder / "four"
    one.mkdir()
    four.mkdir()
    batch = "--per_device_train_batch_size"
    command = [sys.executable, *worker, str(one), batch, "16"]
    subprocess.run(command, cwd=ROOT, env={**os.environ, **ENVIRONMENT}, check=True)
    launchers = start([*worker, str(four), batch, "4"], 29511)
    said = finish(launchers)
    if any(launcher.returncode for launcher in launchers):
        sys.exit("\n".join(said))
    one, four = np.load(one / "result.npz"), np.load(four / "result.npz")
    print(f"{one['processes']} process and {four['processes']}: largest differences")
    for name in ("losses", "gradients", "weights", "logits"):
        print(f"  {name:<10} {np.abs(one[name] - four[name]).max():.1e}")
    print(f"  rows evaluated: {len(four['logits'])} of {len(one['logits'])}, in order:", end=" ")
    print(np.array_equal(four["labels"], four["expected_labels"]))
    for few in (1, 2, 3, 5):
        difference = np.abs(four[f"logits_of_{few}"] - one["logits"][:few]).max()
        print(f"  {len(four[f'logits_of_{few}'])} of {few} rows alone: {difference:.1e}")


def kill_one(launchers: list[psutil.Popen], output: Path) -> float:
    """Kills a process of the second machine when there is a checkpoint; the time when it did."""
    while not any(output.glob("checkpoint-*/trainer_state.json")):
        if any(launcher.poll() is not None for launcher in launchers):
            sys.exit("\n".join(finish(launchers)))
        time.sleep(0.2)
    workers = [one for one in launchers[1].children(recursive=True) if "recipes/" in " ".join(one.cmdline())]
    os.kill(max(one.pid for one in workers), signal.SIGKILL)
    return time.monotonic()


def recipe(folder: Path, name: str) -> list[str]:
    return [*RECIPE, "--data_dir", str(folder / "rows.csv"), "--output_dir", str(folder / name)]


def kill_a_process(folder: Path) -> None:
    launchers = start(recipe(folder, "killed"), 29512)
    began = kill_one(launchers, folder / "killed")
    said = finish(launchers)
    print(f"a process killed: both launchers ended after {time.monotonic() - began:.0f} s, with exit codes", end=" ")
    print(", ".join(str(launcher.returncode) for launcher in launchers))
    for name, text in zip(MACHINES, said, strict=True):
        for line in text.splitlines():
            if "error: " in line or "Traceback" in line:
                print(f"  {name}: {line}")


def restart(folder: Path) -> None:
    launchers = start(recipe(folder, "restarted"), 29513, restarts=1)
    kill_one(launchers, folder / "restarted")
    said = finish(launchers)
    if any(launcher.returncode for launcher in launchers):
        sys.exit("\n".join(said))
    whole = start(recipe(folder, "whole"), 29514)
    finish(whole)
    restarted, expected = (load_file(folder / name / "model.safetensors") for name in ("restarted", "whole"))
    largest = max(np.abs(restarted[name] - expected[name]).max() for name in expected)
    print(f"killed, and restarted by torchrun: weights differ by {largest:.1e} from those of an undisturbed run")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    scenes = {"compare": compare_to_one_process, "kill": kill_a_process, "restart": restart}
    parser.add_argument("--only", choices=scenes)
    only = parser.parse_args().only
    rows = [f"{'ab'[row % 2] * 2} {'pqrst'[row % 5] * 2} {row % 7},{'ab'[row % 2]}" for row in range(400)]
    with network(), tempfile.TemporaryDirectory(prefix="two-machines-") as folder:
        Path(folder, "rows.csv").write_text("\n".join(["text,label", *rows]) + "\n", encoding="utf-8")
        for name, scene in scenes.items():
            if only in (None, name):
                scene(Path(folder))


if __name__ == "__main__":
    main()
