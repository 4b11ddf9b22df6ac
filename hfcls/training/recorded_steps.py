"""Steps recorded once for each shape of a batch, and replayed: for a small model, launching costs more than computing.

A recording is a CUDA graph of forward pass, loss and backward pass. Clipping, optimizer and all that Trainer does
between steps stay as they are.
"""

import logging
import warnings
from collections.abc import Callable

import torch
from transformers import TrainingArguments

logger = logging.getLogger(__name__)

MOST_SHAPES = 64  # recordings that are kept; `length_buckets` leave some twenty
WARM_UPS = 3  # steps before a recording, in which libraries choose kernels and take memory

Step = Callable[[], torch.Tensor]


def why_not(args: TrainingArguments) -> str | None:
    """What keeps the steps of a run from being recorded; None if nothing is known to."""
    if args.device.type != "cuda":
        return "there is no GPU"
    if args.world_size > 1 or args.n_gpu > 1 or args.deepspeed or args.fsdp:
        return "several processes or GPUs exchange gradients in the middle of a step"
    if args.fp16:
        return "--fp16 may skip a step; give --bf16 True"
    return None


class RecordedSteps:
    """Computes loss and gradients of batches: those of a shape that was seen before by replaying a recording.

    Recordings read a batch from memory of their own, and leave gradients in memory that stays: the first batch of a
    step writes them, further ones, which accumulate, add to them. What they need in between they share, as one is
    replayed at a time. Random numbers go on from replay to replay as they would from step to step. What cannot be
    recorded ends recording, with the reason in the log: all steps after that are computed as without.

    Args:
        model: in training.
        record: makes a replay of a step; by default a CUDA graph. The step may be computed any number of times first.
    """

    def __init__(self, model: torch.nn.Module, record: Callable[[Step], Step] | None = None):
        self.model = model
        self.weights = list(model.parameters())
        self.record = GraphRecorder() if record is None else record
        self.recordings: dict[tuple, tuple[dict[str, torch.Tensor], Step]] = {}
        self.seen: set[tuple] = set()
        self.gradients: dict[torch.nn.Parameter, torch.Tensor] = {}
        self.ended = False

    def __call__(self, compute: Callable[[dict], torch.Tensor], batch: dict, *constants) -> torch.Tensor:
        """The loss of `batch`; its gradients are added to those of the weights.

        Args:
            compute: from a batch to its loss, after a backward pass.
            batch: tensors by name. What is no tensor cannot be recorded.
            constants: all else that `compute` depends on.
        """
        if self.ended:
            return compute(batch)
        others = [name for name, value in batch.items() if not isinstance(value, torch.Tensor)]
        if others:
            return self._end(f"batches hold {', '.join(others)}, no tensor", compute, batch)
        first = all(weight.grad is None for weight in self.weights)
        key = (first, *constants, *((name, value.shape, value.dtype) for name, value in sorted(batch.items())))
        if key not in self.recordings and (key not in self.seen or len(self.recordings) == MOST_SHAPES):
            self.seen.add(key)
            loss = compute(batch)
            self._reserve_gradients()
            return loss
        for weight, gradient in self.gradients.items():
            if not first and weight.grad is not gradient:  # of a batch that was not replayed
                gradient.zero_() if weight.grad is None else gradient.copy_(weight.grad)
        if key not in self.recordings:
            try:
                self.recordings[key] = self._recorded(compute, batch, first)
            except RuntimeError as error:
                return self._end(str(error).splitlines()[0], compute, batch)
        inputs, replay = self.recordings[key]
        for name, value in batch.items():
            inputs[name].copy_(value, non_blocking=True)
        if not self.model.training:
            self.model.train()
        loss = replay()
        for weight, gradient in self.gradients.items():
            weight.grad = gradient
        return loss

    def _reserve_gradients(self) -> None:
        """Gives all weights that have gradients memory for them; recordings that do not know of it are made anew."""
        used = [weight for weight in self.weights if weight.grad is not None]
        new = {weight: torch.empty_like(weight) for weight in used if weight not in self.gradients}
        if new:
            self.recordings.clear()
            self.gradients |= new

    def _recorded(
        self, compute: Callable[[dict], torch.Tensor], batch: dict, first: bool
    ) -> tuple[dict[str, torch.Tensor], Step]:
        """Memory for a batch like `batch`, and what computes what is in it."""
        inputs = {name: value.clone() for name, value in batch.items()}
        weights, gradients = list(self.gradients), list(self.gradients.values())

        def step() -> torch.Tensor:
            self.model.zero_grad()
            loss = compute(dict(inputs))
            computed = [torch.zeros_like(weight) if weight.grad is None else weight.grad for weight in weights]
            (torch._foreach_copy_ if first else torch._foreach_add_)(gradients, computed)
            self.model.zero_grad()
            return loss

        before, given = [tensor.clone() for tensor in self.model.buffers()], [weight.grad for weight in weights]
        added_to = [] if first else [gradient.clone() for gradient in gradients]
        random = torch.cuda.get_rng_state() if torch.cuda.is_available() else torch.get_rng_state()
        try:
            return inputs, self.record(step)
        finally:  # as if nothing had been tried
            kept = [*self.model.buffers(), *([] if first else gradients)]
            for tensor, value in zip(kept, [*before, *added_to], strict=True):
                tensor.copy_(value)
            for weight, gradient in zip(weights, given, strict=True):
                weight.grad = gradient
            (torch.cuda.set_rng_state if torch.cuda.is_available() else torch.set_rng_state)(random)

    def _end(self, reason: str, compute: Callable[[dict], torch.Tensor], batch: dict) -> torch.Tensor:
        logger.warning("steps are not recorded (--cuda_graphs), but computed as without: %s", reason)
        self.ended = True
        self.recordings.clear()
        return compute(batch)


class GraphRecorder:
    """Records steps as CUDA graphs that share their memory.

    Raises:
        RuntimeError: a step asks the GPU for a number, which no recording can, or does not fit into memory.
    """

    def __init__(self):
        self.pool = torch.cuda.graph_pool_handle()

    def __call__(self, step: Step) -> Step:
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UPS):
                step()
            # Most of what no recording can is found here, and is an error like any other.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of the mode itself, that it misses some
                torch.cuda.set_sync_debug_mode("error")
            try:
                step()
            finally:
                torch.cuda.set_sync_debug_mode("default")
        torch.cuda.current_stream().wait_stream(stream)
        # What is only found in the middle of a recording leaves the random numbers in it for good.
        random = torch.cuda.default_generators[torch.cuda.current_device()]
        state = random.clone_state()
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, pool=self.pool):
                loss = step()
        except RuntimeError:
            random.graphsafe_set_state(state)
            raise

        def replay() -> torch.Tensor:
            graph.replay()
            return loss.clone()  # the next recording may use its memory

        return replay
