"""The background worker: which job runs how often, and how it stops. The jobs decide nothing.

APScheduler is only the metronome: its schedule lives in memory and every worker runs the same
one. What is due, and who may do it, is in PostgreSQL (`due_at`, SKIP LOCKED, fencing), so any
number of workers may run, and any of them may die at any moment.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from turnout import db, idempotency, telemetry
from turnout.access import audit_forwarding
from turnout.access.audit_commands import seal_entries
from turnout.alerts import commands as alerts
from turnout.alerts import queries as alert_counts
from turnout.alerts.domain import Severity, State
from turnout.automation import queries as update_counts
from turnout.automation.commands import carry as updates
from turnout.automation.commands import forget as past_updates
from turnout.automation.commands import tick as automation
from turnout.automation.domain.update import UpdateState
from turnout.backup import queries as backups
from turnout.backup.schedule import back_up_if_due
from turnout.db import Sessions, lost_connection
from turnout.delivery import commands as webhooks
from turnout.delivery.courier import Courier
from turnout.drift import commands as drift
from turnout.experiments.commands import tick as experiments
from turnout.gates.runs import Runner
from turnout.gateway.bench import Bench
from turnout.gateway.runtimes.pool import RuntimePool
from turnout.http import system_clock
from turnout.monitoring import commands as monitoring
from turnout.monitoring.quiet import watch_traffic
from turnout.observations import commands as observations
from turnout.observations import queries as waiting
from turnout.observations.folding import FoldFailed
from turnout.outgoing import Calls
from turnout.quantities import Clock
from turnout.rollouts import queries as rollouts
from turnout.rollouts.commands.tick import tick
from turnout.rollouts.commands.watchdog import report_missed
from turnout.rollouts.domain.phases import Phase
from turnout.settings import Settings
from turnout.tracing import TRACES, fail

Job = Callable[[], Coroutine[Any, Any, None]]

GRACE_SECONDS: Final = 20
RETENTION_SECONDS: Final = 600
MEASURE_SECONDS: Final = 10
AUDIT_SECONDS: Final = 1
QUIET_SECONDS: Final = 30
COLLECT_SECONDS: Final = 15
BACKUP_SECONDS: Final = 60
"""How often a worker asks whether a backup is due."""

LONG_JOBS: Final = 50
"""Of those that carry updates, each for the minutes that its checks take: meanwhile the next ones
see to the other updates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """Runs the jobs until `stop` is set, then lets what is under way finish."""

    settings: Settings
    sessions: Sessions
    clock: Clock = system_clock
    calls: Calls = field(init=False)
    courier: Courier = field(init=False)
    runtimes: RuntimePool = field(init=False)
    claiming: asyncio.Lock = field(init=False, default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        object.__setattr__(self, "calls", Calls(self.settings))
        courier = Courier(
            self.sessions,
            self.calls,
            clock=self.clock,
            delays=self.settings.webhook_delays,
            public_url=self.settings.public_url,
        )
        object.__setattr__(self, "courier", courier)
        object.__setattr__(self, "runtimes", RuntimePool(self.settings))

    async def fold(self) -> None:
        """Fold what has arrived, batch after batch, until nothing is left."""
        failed: set[int] = set()
        while True:
            try:
                async with db.transaction(self.sessions) as session:
                    folded = await observations.fold(session, now=self.clock(), passing_over=failed)
            except FoldFailed as error:
                telemetry.log.error("fold failed", model_id=error.model_id, exc_info=error)
                failed.add(error.model_id)
                continue
            telemetry.FOLDED.inc(folded)
            if not folded:
                return

    async def tick(self) -> None:
        await report_missed(self.sessions, now=self.clock(), interval=self.settings.tick_interval)
        await tick(self.sessions, clock=self.clock, interval=self.settings.tick_interval)

    async def analyse(self) -> None:
        """Look at the experiments that are due."""
        await experiments.tick(
            self.sessions, clock=self.clock, interval=self.settings.tick_interval
        )

    async def watch(self) -> None:
        """Look at the thresholds of every version that serves."""
        await monitoring.tick(self.sessions, clock=self.clock, interval=self.settings.tick_interval)

    async def watch_traffic(self) -> None:
        """Look for versions that serve and have fallen silent."""
        await watch_traffic(self.sessions, clock=self.clock)

    async def collect(self) -> None:
        """Make the baselines for which enough predictions have come in."""
        await drift.collect(self.sessions, clock=self.clock)

    async def start_updates(self) -> None:
        """Open the updates that are due or called for, and end those whose rollouts have ended."""
        await automation.tick(self.sessions, clock=self.clock)

    async def carry_updates(self) -> None:
        """Take updates through their rules and gates, which may take minutes, to their rollout."""
        await updates.carry(
            self.sessions,
            Runner(bench=Bench(self.runtimes), calls=self.calls),
            clock=self.clock,
            at_once=self.settings.updates_at_once,
            claiming=self.claiming,
        )

    async def tell(self) -> None:
        """Tell of the alerts whose silence is over."""
        async with db.transaction(self.sessions) as session:
            await alerts.tell_untold(session, now=self.clock())

    async def deliver(self) -> None:
        """Send to webhooks what has happened since."""
        await self.courier.beat()

    async def seal_audit(self) -> None:
        """Give what is new in the audit log its place in the chain."""
        while True:
            async with db.transaction(self.sessions) as session:
                if not await seal_entries(session):
                    return

    async def forward_audit(self) -> None:
        url = self.settings.audit_forward_url
        while url is not None:
            async with db.transaction(self.sessions) as session:
                if not await audit_forwarding.forward(session, self.calls, url):
                    return

    async def retain(self) -> None:
        """Make room for the days to come, and drop what has been kept long enough."""
        async with db.transaction(self.sessions) as session:
            await observations.ensure_partitions(session, now=self.clock())
            await idempotency.forget(session, now=self.clock())
            await webhooks.forget(session, now=self.clock(), days=self.settings.retention_days)
            await past_updates.forget(session, now=self.clock(), days=self.settings.retention_days)
        # Apart, because its locks are held until it commits.
        async with db.transaction(self.sessions) as session:
            await observations.drop_old_partitions(
                session, now=self.clock(), days=self.settings.retention_days
            )

    async def back_up(self) -> None:
        await back_up_if_due(self.sessions, self.settings, now=self.clock())

    async def measure(self) -> None:
        """Show what waits and what is open, for whoever scrapes this process."""
        async with self.sessions() as session:
            batches, oldest = await waiting.unfolded(session)
            phases = await rollouts.under_way(session)
            open_updates = await update_counts.unfinished(session)
            open_alerts = await alert_counts.unresolved(session)
            backup = await backups.newest(session) if self.settings.backup_hours else None
        telemetry.UNFOLDED.set(batches)
        telemetry.UNFOLDED_AGE.set(_age(oldest, self.clock()))
        telemetry.BACKUP_AGE.set(_age(backup, self.clock()))
        for phase in Phase:
            if not phase.terminal:
                telemetry.ROLLOUTS.labels(phase).set(phases.get(phase, 0))
        for step in UpdateState:
            if not step.over:
                telemetry.UPDATES.labels(step).set(open_updates.get(step, 0))
        for severity in Severity:
            for state in (State.FIRING, State.ACKNOWLEDGED):
                count = open_alerts.get((severity, state), 0)
                telemetry.ALERTS.labels(severity, state).set(count)

    @property
    def jobs(self) -> tuple[tuple[Job, float], ...]:
        """What is done, and how many seconds lie between two times."""
        return (
            (self.retain, RETENTION_SECONDS),
            (self.fold, self.settings.fold_seconds),
            (self.tick, self.settings.tick_seconds),
            (self.analyse, self.settings.tick_seconds),
            (self.watch, self.settings.tick_seconds),
            (self.collect, COLLECT_SECONDS),
            (self.watch_traffic, QUIET_SECONDS),
            (self.start_updates, self.settings.tick_seconds),
            (self.carry_updates, self.settings.tick_seconds),
            (self.seal_audit, AUDIT_SECONDS),
            (self.forward_audit, AUDIT_SECONDS),
            (self.tell, self.settings.tick_seconds),
            (self.deliver, self.settings.tick_seconds),
            (self.back_up, BACKUP_SECONDS),
            (self.measure, MEASURE_SECONDS),
        )

    async def run(self, stop: asyncio.Event) -> None:
        under_way: set[asyncio.Task[None]] = set()
        scheduler = AsyncIOScheduler(timezone=UTC)
        for job, seconds in self.jobs:
            scheduler.add_job(
                _guarded(job, under_way),
                "interval",
                seconds=seconds,
                id=job.__name__,
                next_run_time=datetime.now(UTC),
                max_instances=LONG_JOBS if job == self.carry_updates else 1,
                coalesce=True,
                misfire_grace_time=None,
            )
        scheduler.start()
        telemetry.log.info("worker started", tick_seconds=self.settings.tick_seconds)
        await stop.wait()
        scheduler.pause()
        if under_way:
            await asyncio.wait(under_way, timeout=GRACE_SECONDS)
        await self.courier.rest()
        scheduler.shutdown(wait=False)
        await self.calls.close()
        await self.runtimes.close()
        telemetry.log.info("worker stopped")


def _age(moment: datetime | None, now: datetime) -> float:
    return 0.0 if moment is None else max(0.0, (now - moment).total_seconds())


def _guarded(job: Job, under_way: set[asyncio.Task[None]]) -> Job:
    """Keep the loop alive: a job that fails is logged and runs again at its next beat."""
    name = job.__name__

    async def guarded() -> None:
        task = asyncio.current_task()
        assert task is not None
        under_way.add(task)
        start = time.perf_counter()
        try:
            with TRACES.job(name) as span:
                try:
                    await job()
                except Exception as error:  # noqa: BLE001  (the loop outlives any failed job)
                    fail(span, error)
                    _report(name, error)
        finally:
            telemetry.JOBS.labels(name).observe(time.perf_counter() - start)
            under_way.discard(task)

    return guarded


def _report(job: str, error: Exception) -> None:
    telemetry.JOB_FAILURES.labels(job).inc()
    if lost_connection(error):
        telemetry.log.warning("database unavailable", job=job, error=repr(error))
    else:
        telemetry.log.error("job failed", job=job, exc_info=error)
