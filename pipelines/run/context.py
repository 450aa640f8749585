"""The context of one run: what every stage gets, set up before the first and gone after the last.

The child that reads starts at once. What is slow starts when the source has been looked at, since
most sources that are refused are refused then: the child that imports Great Expectations, and a
thread that imports what the checks need.
"""

import contextlib
import dataclasses
from collections.abc import Iterator

from checks.kit.contract_model import Contract
from pipelines.checking.resume import Kept
from pipelines.clock import now
from pipelines.run import named_files, reading
from pipelines.run.background import KNOWN_RULES, RULES, Imports, importing
from pipelines.run.child_process import Child
from pipelines.run.named_files import NamedFiles
from pipelines.run.request import Plan, Prepared, Request
from pipelines.run.rules_cache import CachedRules
from pipelines.store import keys, trust
from pipelines.store.outcome import Committed
from pipelines.store.staged_contract import StagedContract, stage
from pipelines.store.store import Store

RULES_MEMORY = 16 << 30  # bytes of address space for a contract's SQL and the large libraries


@dataclasses.dataclass(frozen=True, slots=True)
class Run:
    """What every stage of one run gets.

    Attributes:
        request, prepared: what is asked for, and what was found for it.
        contract: the prepared one, with its deny list bound to the bytes that were digested.
        plan: where to read and write.
        named: digests of the other files that the contract names, from before anything was read.
        staged: the copy of the contract that the children parse.
        reader, evaluator: the children that read the source and evaluate the rules.
        rules: of the contract, as an earlier run kept them for the evaluator.
        imports: of what the checks need, in the background.
        kept: what a killed run of the same work finished.
        timings: seconds of each stage that is done.
        committed: empty until the ledger has the entry.
    """

    request: Request
    prepared: Prepared
    contract: Contract
    plan: Plan
    store: Store
    named: NamedFiles
    staged: StagedContract
    reader: Child
    evaluator: Child
    rules: CachedRules
    imports: Imports
    kept: Kept
    committed: Committed
    started: str = dataclasses.field(default_factory=now)
    timings: dict[str, float] = dataclasses.field(default_factory=dict)

    def look(self) -> None:
        """Wait until the source has been looked at.

        Raises:
            AssayError: the code that the reading refuses with.
        """
        reading.look(self.reader, reading.seconds_for(self.contract))

    def begin(self) -> None:
        """Start what is slow."""
        self.evaluator.start(*(KNOWN_RULES if self.rules.find() else RULES))
        # beside the reading; later, each check imports what it turns out to use, except in a flow,
        # where other threads import too
        if not (self.reader.has_answered and self.request.direct):
            self.imports.start(self._libraries)

    def _libraries(self) -> tuple[str, ...]:
        from checks.kit import registry  # all checks, which a refusal does not need

        return registry.libraries(self.contract, has_reference=bool(self.plan.reference))


@contextlib.contextmanager
def opened(request: Request, prepared: Prepared, committed: Committed) -> Iterator[Run]:
    """Give the context of a run: its staging folder and children, which are gone on the way out."""
    store = Store(request.store, request.share)
    with contextlib.ExitStack() as stack:
        work = stack.enter_context(store.staged(trust.once_open(store, request.checkpoint)))
        plan = Plan(
            work.name, work, prepared.sources, prepared.reference, request.engine,
            request.dask_address,
        )  # fmt: skip
        for folder in (plan.out, plan.scratch):
            folder.mkdir()
        named = named_files.named_by(prepared.contract, lambda: keys.own(make=True))
        staged = stage(prepared.document, named.contract, plan.out)
        kept = Kept(store.folder / "resume", named.digests)
        stack.callback(kept.close)
        reader = _reader(request, named.contract, plan, staged)
        stack.callback(reader.stop)
        evaluator = Child(
            "pipelines.run.contract_rules:run_rules", memory=RULES_MEMORY, is_late=True
        )
        stack.callback(evaluator.stop)
        imports = stack.enter_context(importing())
        yield Run(
            request, prepared, named.contract, plan, store, named, staged, reader, evaluator,
            CachedRules(staged), imports, kept, committed,
        )  # fmt: skip


def _reader(request: Request, contract: Contract, plan: Plan, staged: StagedContract) -> Child:
    """Return the child that reads, which starts at once."""
    memory = int(contract.limits.get("max_memory_bytes", reading.MEMORY))
    reader = reading.started("read_sources", memory)
    reader.ask(
        contract=staged.arguments(),
        sources=list(plan.sources),
        reference=list(plan.reference),
        folder=str(plan.snapshot),
        name=request.source_name,
    )
    return reader
