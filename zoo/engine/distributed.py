"""Processes of a distributed run, started here or by torchrun or srun; Lightning's DDP connects them."""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import multiprocessing.connection
import multiprocessing.forkserver
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo import registry
from zoo.config.run_config import RunConfig
from zoo.engine.run_dir import resume_hint
from zoo.engine.signals import Interrupt
from zoo.exceptions import Stopped, TrainingError, ZooError
from zoo.utils.rank import Launch, find_launch

if TYPE_CHECKING:
    import lightning as L
    from torch import Tensor

    from zoo.data.dataset import Split

PATIENCE = 5.0  # seconds to wait for a process to exit
PRELOAD = [
    "lightning",
    "zoo.engine.train",
    "zoo.engine.build",
    "zoo.reporting.results",
    "zoo.reporting.plots",
    "zoo.tasks.baselines",
]


def context() -> multiprocessing.context.BaseContext:
    """Return the multiprocessing context: a fork server that has imported torch, or spawn where there is none."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    forkserver = multiprocessing.get_context("forkserver")
    forkserver.set_forkserver_preload(PRELOAD)
    return forkserver


def warm() -> None:
    """Start the fork server early, so that it imports its modules in the background.

    The terminal sends Ctrl-C to all processes. The server ignores it, because it ends together with this process.
    """
    if context().get_start_method() != "forkserver":
        return
    if threading.current_thread() is not threading.main_thread():
        multiprocessing.forkserver.ensure_running()
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        multiprocessing.forkserver.ensure_running()
    finally:
        signal.signal(signal.SIGINT, before if before is not None else signal.SIG_DFL)


@contextlib.contextmanager
def start_workers(run_config: RunConfig, work: Callable[[], None]) -> Iterator[None]:
    """Run ``work()`` in the worker processes of a run; the current process is rank zero until the block ends.

    Runs with one process, and runs started by a launcher, start no workers.

    Raises:
        TrainingError: a worker failed or was killed.
    """
    world = run_config.trainer.devices
    if world == 1 or find_launch() is not None:
        yield
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    threads = max(1, (os.cpu_count() or 1) // world)
    processes: Any = context()
    here, there = processes.Pipe(duplex=False)
    arguments = (there, threads, place, _modules(run_config), work)
    others = [
        # daemons may not start processes, but environments may need some
        processes.Process(target=_member, args=(rank, *arguments), daemon=False)
        for rank in range(1, world)
    ]
    # Without OMP_NUM_THREADS, Lightning would set it permanently
    with _environment({**place, "LOCAL_RANK": "0", "OMP_NUM_THREADS": str(threads)}), _threads(threads):
        for other in others:
            other.start()
        try:
            for module in PRELOAD:  # the workers import the same modules meanwhile
                importlib.import_module(module)
            _await(here, others)
            yield
            for other in others:
                other.join()
        except (ZooError, TrainingError, Stopped, KeyboardInterrupt, Interrupt):
            _end(others)
            raise
        except BaseException as error:
            died = _died(others, here)
            _end(others)
            if died is None:
                raise
            # torch reports only that a connection was closed
            raise TrainingError(f"{died}. {resume_hint(run_config.folder)}") from error
        finally:
            leave()
    if died := _died(others, here):
        raise TrainingError(f"{died}. {resume_hint(run_config.folder)}")


def _modules(run_config: RunConfig) -> list[str]:
    """Return the modules that register the run's model and data."""
    modules = [registry.entry(run_config.values["model"]["name"]).module]
    name = run_config.values["data"]["name"]
    modules += [registry.data_entry(name).load.__module__] if name != "arrays" else []
    return [module for module in modules if module not in ("__main__", "__mp_main__")]  # each process runs these itself


def _end(others: list[Any]) -> None:
    """Terminate the processes, and kill those that do not exit in time."""
    for other in others:
        other.terminate()
    multiprocessing.connection.wait([other.sentinel for other in others], timeout=PATIENCE)
    for other in others:
        other.kill()


def _died(others: list[Any], here: multiprocessing.connection.Connection) -> str | None:
    """Return a description of the first process that failed, or None; wait a moment for processes to exit."""
    multiprocessing.connection.wait([other.sentinel for other in others], timeout=PATIENCE)
    messages: dict[int, str] = {}
    with contextlib.suppress(EOFError, OSError):
        while here.poll():
            messages.update([here.recv()])
    for rank, other in enumerate(others, start=1):
        if other.exitcode:
            name = f"process {rank} of {len(others) + 1}"
            if other.exitcode < 0:
                return f"{name} was killed by {signal.Signals(-other.exitcode).name}"
            return f"{name}: {messages[rank]}" if rank in messages else f"{name} failed; see its error above"
    return None


def _await(here: multiprocessing.connection.Connection, others: list[Any]) -> None:
    """Wait until all workers have started.

    Raises:
        TrainingError: a worker could not start.
    """
    begun = 0
    while begun < len(others):
        ready = multiprocessing.connection.wait([here, *(other.sentinel for other in others)])
        if here not in ready:
            raise TrainingError(
                "a worker process could not start; see its error above. A script that trains with several processes "
                'needs an `if __name__ == "__main__":` guard.'
            )
        here.recv()
        begun += 1


def leave() -> None:
    """Destroy the process group of this run, so that later code runs alone and another run can create its own."""
    import torch

    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _member(
    rank: int, there: Any, threads: int, place: dict[str, str], modules: list[str], work: Callable[[], None]
) -> None:
    there.send((rank, ""))  # this worker has started
    os.environ.update(place, LOCAL_RANK=str(rank))
    try:
        with _threads(threads):
            for module in modules:
                importlib.import_module(module)
            work()
    except Stopped:
        pass
    except (ZooError, TrainingError) as error:
        there.send((rank, str(error)))  # rank zero prints it, unless it raises the same error
        sys.exit(1)
    except Interrupt as interrupt:
        sys.exit(128 + interrupt.number)
    finally:
        leave()


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    old = {key: os.environ.get(key) for key in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for key, value in old.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value


@contextlib.contextmanager
def _threads(count: int) -> Iterator[None]:
    """Compute with ``count`` threads; more threads than cores can slow all processes down a hundredfold."""
    import torch

    old = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(old)


@contextlib.contextmanager
def open_run(run_config: RunConfig) -> Iterator[RunConfig]:
    """Yield the configuration with the folder that rank zero created.

    Processes of a launcher first connect to each other, then receive the folder from rank zero.

    Raises:
        ZooError: the folder cannot be created, or the device does not exist.
    """
    launch = find_launch()
    if launch is None:
        if run_config.trainer.devices > 1:
            warm()
        with run_config.create_run_dir() as run_config:
            yield run_config
        return
    import torch

    from zoo.utils.device import select_device

    _connect(launch, select_device(run_config.trainer.accelerator, run_config.trainer.devices))
    try:
        if launch.rank:
            folders: list[str | None] = [None]
            torch.distributed.broadcast_object_list(folders)
            yield replace(run_config, folder=Path(str(folders[0])))
        else:
            with run_config.create_run_dir() as run_config:
                torch.distributed.broadcast_object_list([str(run_config.folder)])
                yield run_config
    finally:
        leave()


def _connect(launch: Launch, device: str) -> None:
    """Create the process group that Lightning will use."""
    import torch
    from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
    from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment

    environment = TorchElasticEnvironment() if launch.launcher == "torchrun" else SLURMEnvironment()
    os.environ |= {"MASTER_ADDR": environment.main_address, "MASTER_PORT": str(environment.main_port)}
    if device == "cuda":
        torch.cuda.set_device(environment.local_rank())
    backend = "nccl" if device == "cuda" else "gloo"
    torch.distributed.init_process_group(backend, rank=launch.rank, world_size=launch.world_size)


def gather_outputs(trainer: L.Trainer, outputs: list[Tensor], split: Split) -> Tensor | None:
    """Return the outputs of all processes for ``split`` in the order of its rows, or None if there are none."""
    import torch

    from zoo.data.loader import EvalLoader, Shard

    if not outputs:
        return None
    local = torch.cat(outputs)
    if trainer.world_size == 1:
        return local
    shards: list[Any] = [None] * trainer.world_size
    torch.distributed.all_gather_object(shards, local)
    gathered = local.new_empty(sum(map(len, shards)), *local.shape[1:])
    for rank, shard in enumerate(shards):
        gathered[torch.cat(EvalLoader(split, shard=Shard(rank, trainer.world_size)).index).cpu()] = shard
    return gathered
