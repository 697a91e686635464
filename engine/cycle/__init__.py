"""The inner loop: traced code, from a number of cycles to the last update of them.

Twelve nouns, in the order in which an update meets them:

  StepEngine   all phases, compiled; ``run(cycles)`` calls the loop and reads its report (step_engine.py)
  Place        where a run stands: slot, updates of each phase, batches of each source (state.py)
  LoopState    what the loop carries: a Place, the streak of bad updates, a Tally for each phase (state.py)
  Schedule     which phase is next, whether it is due, and on which batches: integers alone (schedule.py)
  Turns        whose turn it is; by_update, by_cycle, by_block, by_launch are the ways to loop (loops, block, launch.py)
  Step         one phase's update: compute a candidate, look at it, apply it or leave it (step.py)
  Inputs       the batches and draws of one update (inputs.py)
  Candidate    an update that is computed and not yet applied (candidates.py)
  Traced       what one trace of the loss told: forms of terms, draws, what it assigns (trace.py)
  Compute      loss -> terms and gradients, at the weights that it is handed; assigns nothing (compute.py)
  Commit       applies a good update; the only place that assigns (commit.py)
  Plan         how all of it is compiled: eager, graph, halves, xla (plan.py)

Six calls from ``StepEngine.run`` to the tape: the loop, ``Turns.next``, ``Turns.turn``, ``Step.advance``,
``Candidates.measured``, ``Compute.gradients``. Between the last two stands what takes a batch apart, if there is need:
``Across`` (workers, and shards of all: across.py), ``GlobalBatch`` (micro-batches: batch.py), ``Shards`` (shards.py).
"""
