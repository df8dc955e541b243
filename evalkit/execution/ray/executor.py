"""The executor ``ray``: slots are actors of a Ray cluster, wherever it finds their resources.

Each actor holds a `evalkit.execution.ray.host.Host`, which does the jobs of a slot as they are done on one machine. No
folder is shared: what jobs read travels to a node once, what they make comes back in pieces.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import logging
import time
import uuid
from collections import deque
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from evalkit import __version__
from evalkit.errors import UsageError
from evalkit.execution.executors import CANCELLED, LOST, Executor, ExecutorError
from evalkit.execution.jobs import Finished, JobFailure, MeasureJob, Slot
from evalkit.execution.ray import cluster
from evalkit.execution.ray.disk import INPUTS, JOBS, VIDEOS
from evalkit.execution.ray.host import Greeting, Host, Output
from evalkit.execution.transfer import TransferError, Unpacker, move_job, move_result, pack, place_inputs
from evalkit.execution.worker import DISK_FULL, OUT_OF_MEMORY, RAISED, VIDEO_WORK
from evalkit.formatting import count
from evalkit.runs.files import remove
from pipeline.options import PlainData

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from evalkit.execution.executors import Limits
    from evalkit.execution.jobs import Job, Message
    from evalkit.execution.transfer import Piece
    from pipeline.diagnosis import Diagnosis

log = logging.getLogger(__name__)

_POLL_S = 30.0
_STOP_S = 20.0
_SAY_AFTER_S = 10.0
_GRACE_S = 10.0
"""How long a job waits for the place of its slot to come before it goes to another: what that has loaded stays."""
_MOST_PARTS = 8
_N_THREADS = 4
"""Calls of a host at once: one that waits for news, and those that tell it something."""
_MOST_FAILED_STARTS = 3
_MEMORY_FULL = "its memory was full"
_NODE_GONE = "the node is gone"


class RaySettings(PlainData):
    """Settings of the executor ``ray``.

    Attributes
    ----------
    address : str
        ``auto`` for the cluster that runs on this machine, ``local`` to start one, ``HOST:PORT``, or ``ray://HOST:PORT``.
    gpus_per_slot : int
        GPUs of a slot of a generator on ``cuda``.
    cpus_per_slot : int
        Processor cores of a slot; of a slot on the processor that names its ``cores``, that many.
    cpus_per_measuring : int
        Processor cores of each place where videos are measured beside the making.
    patience_s : float
        How long to wait for a cluster that is full.
    """

    address: str = Field(
        default="auto", min_length=1, description="auto, local, HOST:PORT or ray://HOST:PORT"
    )
    gpus_per_slot: int = Field(default=1, ge=1, description="a whole number of GPUs of a slot, from 1")
    cpus_per_slot: int = Field(
        default=1, ge=1, description="a whole number of processor cores of a slot, from 1"
    )
    cpus_per_measuring: int = Field(
        default=1, ge=1, description="a whole number of processor cores where videos are measured, from 1"
    )
    patience_s: float = Field(
        default=300.0,
        gt=0,
        allow_inf_nan=False,
        description="seconds, above 0, to wait for a cluster that is full",
    )


@dataclass(frozen=True, slots=True)
class _Needs:
    """What an actor needs of a node; one with the same needs can stand in for it."""

    cpus: int
    gpus: int = 0

    def __str__(self) -> str:
        cpus = count(self.cpus, "CPU")
        return f"{cpus} and {count(self.gpus, 'GPU')}" if self.gpus else cpus


@dataclass(eq=False)
class _Place:
    """An actor, and what it is at. It works for one slot at a time."""

    slot: str
    needs: _Needs
    actor: Any
    greeting: Greeting | None = None
    jobs: dict[str, _Carried] = field(default_factory=dict)
    is_lost: bool = False
    asked_s: float = field(default_factory=time.monotonic)

    def may_take(self, job: _Carried) -> bool:
        """Whether a job can be done at once: it is idle, or at another part or kind of the same slot."""
        busy = {(other.home, other.job.slot.name, other.job.stage) for other in self.jobs.values()}
        return (
            self.greeting is not None
            and not self.is_lost
            and all(home == job.home for home, _, _ in busy)
            and (job.home, job.job.slot.name, job.job.stage) not in busy
        )


@dataclass(eq=False)
class _Carried:
    """A job, and how far it is."""

    job: Job
    home: str
    needs: _Needs
    number: int
    unpacker: Unpacker
    place: _Place | None = None
    places: dict[str, str] = field(default_factory=dict)
    pieces: Iterator[Piece] = field(default_factory=lambda: iter(()))
    is_cancelled: bool = False
    has_been_sent_again: bool = False


class RayExecutor(Executor):
    """Sends jobs to actors of a Ray cluster, and what they read; brings back what they make.

    The actor of a slot is kept, with what it has loaded. A job goes to that of its slot, or where there is none to any
    that has nothing to do, so that a sweep goes on with the nodes that are left. What an actor that dies was at ends as
    `LOST`; a new one is made when there is work for it.
    """

    Settings = RaySettings
    extra = "ray"
    places_slots: ClassVar[bool] = True

    def __init__(
        self, slots: Sequence[Slot], limits: Limits, settings: PlainData, work: str = VIDEO_WORK
    ) -> None:
        assert isinstance(settings, RaySettings)  # noqa: S101 - for the type checker
        for slot in slots:
            if slot.gpu is not None:
                raise UsageError(
                    f"slot {slot.name!r} is on {slot.device}, and the cluster chooses which GPU a slot has: write 'cuda'"
                )
        self._settings, self._limits, self._work = settings, limits, work
        self._connection = cluster.connect(settings.address)
        self._session = uuid.uuid4().hex[:12]
        self._numbers = itertools.count()
        self._homes = {slot.name: (slot.name, self._needs_of(slot)) for slot in slots}
        self._pool = self._plan_pool(slots)
        needs = _Needs(settings.cpus_per_measuring)
        self._homes |= {slot.name: (slot.name, needs) for slot in self._pool}
        self._places: dict[str, _Place] = {}
        self._queue: deque[_Carried] = deque()
        self._under_way: dict[str, _Carried] = {}
        self._at_node: dict[str, dict[str, _Carried | None]] = {}
        """Files on each node, with the job that is bringing them where they are not whole."""
        self._waiting: list[_Carried] = []
        """Jobs whose files are being brought by others."""
        self._awaited: dict[Any, _Awaited] = {}
        self._news: list[Message] = []
        self._in_vain_since_s: float | None = None
        self._has_said = False
        self._n_failed_starts = 0
        self._ending: ExecutorError | None = None
        """Why nothing more can be done, where that is not said yet."""
        self._is_gone = False
        """Whether the cluster is: then there is nobody to end."""

    @classmethod
    def count_places(cls, settings: PlainData, kind: str) -> int:
        """Ask the cluster."""
        assert isinstance(settings, RaySettings)  # noqa: S101 - for the type checker
        gpus = settings.gpus_per_slot if kind == "cuda" else 0
        return cluster.count_places(settings.address, cpus=settings.cpus_per_slot, gpus=gpus)

    @classmethod
    def diagnose(
        cls, settings: PlainData, generator: str, generator_settings: Mapping[str, Any]
    ) -> list[Diagnosis]:
        """Look at every node."""
        from evalkit.execution.ray.nodes import diagnose

        assert isinstance(settings, RaySettings)  # noqa: S101 - for the type checker
        return diagnose(settings.address, generator, generator_settings)

    def measuring_slots(self, slot: Slot) -> tuple[Slot, ...]:
        """Split the cores of the slot up, whichever they are where it is."""
        n_cores = self._needs_of(slot).cpus
        n_parts = min(n_cores, _MOST_PARTS)
        edges = [n_cores * part // n_parts for part in range(n_parts + 1)]
        parts = tuple(
            Slot(f"{slot.name}.{part}", slot.device, end - first, first)
            for part, (first, end) in enumerate(itertools.pairwise(edges))
        )
        self._homes |= {part.name: self._homes[slot.name] for part in parts}
        return parts

    def measuring_pool(self) -> tuple[Slot, ...]:
        """List places on processor cores that no slot takes; none where videos are timed on the processor."""
        return self._pool

    def submit(self, job: Job) -> None:
        """Put the job in line; `wait` carries it."""
        home, needs = self._homes[job.slot.name]
        carried = _Carried(job, home, needs, next(self._numbers), Unpacker(Path(job.folder)))
        self._under_way[job.id] = carried
        self._queue.append(carried)
        with self._explained():
            self._dispatch()

    def wait(self, timeout_s: float) -> list[Message]:
        """Carry files and listen to the actors."""
        if self._ending is not None:
            raise self._ending
        give_up_s = time.monotonic() + timeout_s
        try:
            with self._explained():
                while True:
                    self._dispatch()
                    self._listen(0.0 if self._news else max(0.0, give_up_s - time.monotonic()))
                    if self._news or time.monotonic() >= give_up_s:
                        break
                self._dispatch()
                self._connection.check()
        except ExecutorError as error:
            if not self._news:
                raise
            self._ending = error  # what came before it counts
        news, self._news = self._news, []
        return news

    def cancel(self, job_id: str) -> None:
        """Tell the actor; a job that is on its way goes no further."""
        carried = self._under_way.get(job_id)
        if carried is None:
            return
        carried.is_cancelled = True
        if carried in self._queue:
            self._queue.remove(carried)
            self._fail(carried, CANCELLED, "it was cancelled")
        elif carried.place is not None:
            carried.place.actor.cancel.remote(job_id)

    def close(self) -> None:
        """End all actors: in peace where they do so soon, else at once."""
        import ray

        places, self._places = list(self._places.values()), {}
        self._awaited.clear()
        self._queue.clear()
        for carried in self._under_way.values():
            carried.unpacker.close()
        self._under_way.clear()
        if not self._is_gone:
            with contextlib.suppress(ray.exceptions.RayError, ConnectionError):
                stopping = [place.actor.stop.remote() for place in places if place.greeting is not None]
                if stopping:
                    ray.wait(stopping, num_returns=len(stopping), timeout=_STOP_S)
                for place in places:
                    ray.kill(place.actor)
        self._connection.close()

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Say in one sentence that the cluster itself is gone."""
        try:
            yield
        except cluster.ClusterError as error:
            self._is_gone = True
            raise ExecutorError(str(error)) from error
        except Exception as error:
            if not cluster.is_loss(error):
                raise
            self._is_gone = True
            raise ExecutorError(cluster.explain_loss(error, self._connection.address)) from error

    # --- places ---------------------------------------------------------------------------------------------------------

    def _needs_of(self, slot: Slot) -> _Needs:
        settings = self._settings
        if slot.kind == "cuda":
            return _Needs(settings.cpus_per_slot, settings.gpus_per_slot)
        return _Needs(slot.cores or settings.cpus_per_slot)

    def _plan_pool(self, slots: Sequence[Slot]) -> tuple[Slot, ...]:
        if any(slot.kind == "cpu" for slot in slots):
            return ()
        settings = self._settings
        reserve = _Needs(settings.cpus_per_slot, settings.gpus_per_slot) if slots else None
        n_places = 0
        for node in cluster.list_nodes():
            taken = 0 if reserve is None else reserve.cpus * (int(node.gpus) // reserve.gpus)
            n_places += max(0, int(node.cpus) - taken) // settings.cpus_per_measuring
        return tuple(Slot(f"measure-{number}", own_device=True) for number in range(n_places))

    def _open(self, home: str, needs: _Needs) -> _Place:
        """Ask for the actor of a slot; it is there when the cluster has found a place for it."""
        import ray

        n_cores = None if needs.gpus else needs.cpus
        actor = (
            ray.remote(Host)
            .options(
                num_cpus=needs.cpus,
                num_gpus=needs.gpus,
                max_concurrency=_N_THREADS,
                max_restarts=0,
                scheduling_strategy="SPREAD",
            )
            .remote(self._session, self._limits, self._work, n_cores)
        )
        place = self._places[home] = _Place(home, needs, actor)
        self._await(place, actor.greet.remote(), lambda greeting: self._welcome(place, greeting))
        return place

    def _welcome(self, place: _Place, greeting: Greeting) -> None:
        if greeting.version != __version__:
            raise ExecutorError(
                f"node {greeting.address} has evalkit {greeting.version}, and here is {__version__}: install the same "
                f"version on both"
            )
        self._n_failed_starts = 0
        place.greeting = greeting
        there = self._at_node.setdefault(greeting.node, {})
        if not any(
            other is not place and other.greeting is not None and other.greeting.node == greeting.node
            for other in self._places.values()
        ):
            there.clear()  # what was there went with the last one
        for name in greeting.inputs:
            there.setdefault(name, None)
        self._poll(place)

    def _poll(self, place: _Place) -> None:
        def hear(items: list[Message | Output]) -> None:
            for item in items:
                self._hear(item)
            self._poll(place)

        self._await(place, place.actor.poll.remote(_POLL_S), hear)

    def _lose(self, place: _Place, error: Exception) -> None:
        """Note that an actor is gone, with all that it was at."""
        import ray

        if place.is_lost:
            return
        place.is_lost = True
        if self._places.get(place.slot) is place:
            del self._places[place.slot]
        why = _why_lost(error)
        if place.greeting is None:
            self._n_failed_starts += (
                why != _NODE_GONE
            )  # that may take many places with it, and others will do
            if self._n_failed_starts >= _MOST_FAILED_STARTS:
                raise ExecutorError(cluster.explain_failed_start(error, self._connection.address)) from error
        else:
            code = OUT_OF_MEMORY if why == _MEMORY_FULL else LOST
            for carried in list(place.jobs.values()):
                self._fail(carried, code, f"node {place.greeting.address} gave up the work on it: {why}")
        with contextlib.suppress(Exception):
            ray.kill(place.actor)  # where it is only out of reach

    # --- jobs -----------------------------------------------------------------------------------------------------------

    def _dispatch(self) -> None:
        """Give jobs that wait to actors that can take them, and ask for those that are missing."""
        if (
            any(carried.home not in self._places for carried in self._queue)
            and not self._connection.answers()
        ):
            return  # asking for an actor would wait for the head without a word; `wait` says soon that it is gone
        for carried in list(self._queue):
            place = self._find_place(carried)
            if place is not None:
                self._queue.remove(carried)
                self._begin(carried, place)
        self._check_patience()

    def _find_place(self, carried: _Carried) -> _Place | None:
        """Return where a job can be done now: in the place of its slot, or where that does not come, in another."""
        own = self._places.get(carried.home) or self._open(carried.home, carried.needs)
        if own.may_take(carried):
            return own
        if own.greeting is None and time.monotonic() - own.asked_s < _GRACE_S:
            return None
        alike = [place for place in self._places.values() if place.needs == carried.needs]
        idle = next((place for place in alike if not place.jobs and place.may_take(carried)), None)
        if idle is None and own.greeting is not None:  # it is at the work of a slot whose place did not come
            homes = dict.fromkeys(home for home, needs in self._homes.values() if needs == carried.needs)
            if missing := next((home for home in homes if home not in self._places), None):
                self._open(missing, carried.needs)
        return idle

    def _check_patience(self) -> None:
        """Give up on a cluster that has no place for anything that waits."""
        in_vain = bool(self._queue) and not any(
            place.greeting is not None and place.needs == self._queue[0].needs
            for place in self._places.values()
        )
        if not in_vain:
            self._in_vain_since_s = None
            return
        now_s = time.monotonic()
        if self._in_vain_since_s is None:
            self._in_vain_since_s, self._has_said = now_s, False
        waited_s = now_s - self._in_vain_since_s
        if waited_s > _SAY_AFTER_S and not self._has_said:
            self._has_said = True
            log.warning("waiting for a place on the cluster: %s", cluster.describe_room())
        if waited_s > self._settings.patience_s:
            raise ExecutorError(
                f"the Ray cluster at {self._connection.address} had no place with {self._queue[0].needs} for {self._settings.patience_s:g} s: "
                f"{cluster.describe_room()}; wait until others are done, or ask for less per slot"
            )

    def _begin(self, carried: _Carried, place: _Place) -> None:
        """Bring a job to an actor: first the files that its node has not."""
        assert place.greeting is not None  # noqa: S101 - for the type checker
        carried.place = place
        place.jobs[carried.job.id] = carried
        greeting, job = place.greeting, carried.job
        carried.places = place_inputs(job.files, str(PurePosixPath(greeting.session, INPUTS)))
        if isinstance(job, MeasureJob):  # what is read once goes with the job
            own = PurePosixPath(greeting.own, VIDEOS, str(carried.number))
            for what, path in (("video", job.video), ("audio", job.audio)):
                if path in carried.places:
                    carried.places[path] = str(own / what / PurePosixPath(path).name)
        carried.pieces = self._pack(carried, greeting)
        self._carry(carried)

    def _pack(self, carried: _Carried, greeting: Greeting) -> Iterator[Piece]:
        """Read the files that the node has not, in pieces; they are named relative to the folder of the session."""
        at_node = self._at_node[greeting.node]
        for here, there in carried.places.items():
            name = _name_of(there, greeting)
            if name in at_node:
                continue
            at_node[name] = carried
            for piece in pack(Path(here).parent, [Path(here).name]):
                yield replace(piece, name=name)
            at_node[name] = None

    def _carry(self, carried: _Carried) -> None:
        """Send the next piece of what a job reads, or the job when all is there."""
        place = carried.place
        assert place is not None  # noqa: S101 - for the type checker
        assert place.greeting is not None  # noqa: S101 - as above
        if carried.is_cancelled:
            self._fail(carried, CANCELLED, "it was cancelled")
            return
        try:
            piece = next(carried.pieces, None)
        except OSError as error:
            self._fail(carried, RAISED, f"an input cannot be read: {error}")
            return
        if piece is not None:
            self._await(place, place.actor.put.remote(piece), lambda _: self._carry(carried), carried)
            return
        at_node = self._at_node[place.greeting.node]
        bringing = {
            at_node.get(_name_of(there, place.greeting), carried) for there in carried.places.values()
        }
        if bringing - {None, carried}:
            self._waiting.append(carried)  # another job brings the same
        elif carried in bringing:
            carried.pieces = self._pack(carried, place.greeting)  # what another was to bring did not come
            self._carry(carried)
        else:
            folder = str(PurePosixPath(place.greeting.own, JOBS, str(carried.number)))
            job = move_job(carried.job, carried.places, folder)
            self._await(
                place, place.actor.submit.remote(job), lambda gone: self._take_note(carried, gone), carried
            )

    def _take_note(self, carried: _Carried, gone: tuple[str, ...]) -> None:
        """Bring files again that are no longer there: somebody cleans up on that node."""
        if carried.job.id not in self._under_way:
            return
        place = carried.place
        assert place is not None  # noqa: S101 - for the type checker
        assert place.greeting is not None  # noqa: S101 - as above
        if not gone:
            if carried.is_cancelled:  # the host may have heard so before it had the job
                place.actor.cancel.remote(carried.job.id)
            return
        for there in gone:
            self._at_node[place.greeting.node].pop(_name_of(there, place.greeting), None)
        if carried.has_been_sent_again:
            self._fail(
                carried,
                LOST,
                f"node {place.greeting.address} does not keep the files that it is sent: {gone[0]}",
            )
            return
        carried.has_been_sent_again = True
        carried.pieces = self._pack(carried, place.greeting)
        self._carry(carried)

    def _hear(self, item: Message | Output) -> None:
        carried = self._under_way.get(item.job_id)
        if carried is None:  # it was given up
            return
        if isinstance(item, Output):
            try:
                carried.unpacker.write(item.piece)
            except TransferError as error:
                self.cancel(item.job_id)
                self._fail(carried, RAISED, str(error))
        elif isinstance(item, Finished):
            result = move_result(item.result, carried.places)
            if isinstance(result, JobFailure) and result.code == DISK_FULL and carried.place is not None:
                result = replace(result, text=f"{_where(carried.place)}: {result.text}")
            self._end(carried, replace(item, result=result))
        else:
            self._news.append(item)

    def _fail(self, carried: _Carried, code: str, text: str) -> None:
        """End a job without a result; what it has brought of one is removed."""
        if carried.job.id not in self._under_way:
            return
        for path in Path(carried.job.folder).iterdir():
            remove(path)
        self._end(carried, Finished(carried.job.id, JobFailure(carried.job.stage, code, text)))

    def _end(self, carried: _Carried, message: Finished) -> None:
        del self._under_way[carried.job.id]
        carried.unpacker.close()
        place = carried.place
        if place is not None:
            del place.jobs[carried.job.id]
            if place.greeting is not None:
                self._forget(carried, place.greeting)
        self._news.append(message)

    def _forget(self, carried: _Carried, greeting: Greeting) -> None:
        """Forget files that a job was bringing, and its video, which went with it."""
        at_node = self._at_node[greeting.node]
        for there in carried.places.values():
            name = _name_of(there, greeting)
            if at_node.get(name) is carried or not name.startswith(INPUTS):
                at_node.pop(name, None)

    # --- listening ------------------------------------------------------------------------------------------------------

    def _await(
        self, place: _Place, answer: Any, hear: Callable[[Any], None], carried: _Carried | None = None
    ) -> None:
        self._awaited[answer] = _Awaited(place, hear, carried)

    def _listen(self, timeout_s: float) -> None:
        """Take the answers that have come; wait for one a while if none has."""
        import ray

        waiting, self._waiting = self._waiting, []
        for carried in waiting:
            if carried.job.id in self._under_way:
                self._carry(carried)
        if not self._awaited:
            time.sleep(timeout_s)
            return
        answers = list(self._awaited)
        ready, _ = ray.wait(answers, num_returns=1, timeout=timeout_s)
        if ready:
            ready, _ = ray.wait(answers, num_returns=len(answers), timeout=0)
        lost = []
        for answer in ready:
            awaited = self._awaited.pop(answer)
            try:
                found = ray.get(answer)
            except ray.exceptions.RayTaskError as error:
                self._blame(awaited, error)
            except _of_one_place() as error:
                lost.append((awaited.place, error))
            else:
                awaited.hear(found)
        for place, cause in lost:  # what came before it was lost counts
            self._lose(place, cause)

    def _blame(self, awaited: _Awaited, error: Any) -> None:
        """Fail a job that the host could not take, or give up where it is a fault of the host itself."""
        cause = error.cause
        if awaited.carried is None:
            raise ExecutorError(f"a process on the cluster failed: {_last_line(error)}") from error
        is_full = isinstance(cause, OSError) and cause.errno == errno.ENOSPC
        self._fail(awaited.carried, DISK_FULL if is_full else RAISED, f"{_where(awaited.place)}: {cause}")


@dataclass(frozen=True, slots=True)
class _Awaited:
    """Who is to answer, who hears it, and the job that it is about."""

    place: _Place
    hear: Callable[[Any], None]
    carried: _Carried | None


def _name_of(there: str, greeting: Greeting) -> str:
    """Return a path on a node relative to the folder of its session."""
    return str(PurePosixPath(there).relative_to(greeting.session))


def _where(place: _Place) -> str:
    return "a node" if place.greeting is None else f"node {place.greeting.address}"


def _last_line(error: BaseException) -> str:
    """Return the line of a long error of Ray that says what it was."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _of_one_place() -> tuple[type[Exception], ...]:
    """List the errors of Ray that say of an actor, or of the node that it was on, that it is gone."""
    from ray import exceptions

    return (
        exceptions.NodeDiedError,
        exceptions.ObjectLostError,
        exceptions.OutOfMemoryError,
        exceptions.RayActorError,
        exceptions.WorkerCrashedError,
    )


def _why_lost(error: BaseException) -> str:
    """Say in a few words why an actor is gone."""
    text = str(error)
    if "running low on memory" in text:
        return _MEMORY_FULL
    return _NODE_GONE if "node has died" in text or "node is dead" in text else "the process was killed"
