"""The inner loop: traced code, from a number of cycles to the last update of them.

Twelve nouns, in the order in which an update meets them:

  StepEngine   all phases, compiled; ``run(cycles)`` calls the loop and reads its report (step_engine.py)
  Place        where a run stands: slot, updates of each phase, batches of each source (state.py)
  LoopState    what the loop carries: a Place, the streak of bad updates, a Tally for each phase (state.py)
  Schedule     which phase is next, whether it is due, and on which batches: integers alone (schedule.py)
  Turns        whose turn it is; by_update, by_cycle, by_block, by_launch are the ways to loop (loops, block, launch.py)
  Step         one phase's update: compute, check, then keep or leave (step.py)
  Inputs       the batches and draws of one update (inputs.py)
  Traced       what one trace of the loss told: forms of terms, draws, what it assigns (trace.py)
  Compute      loss -> terms and gradients, at the weights that it is handed; assigns nothing (compute.py)
  GlobalBatch  the parts of a batch, added up: micro-batches, replicas (batch.py)
  Commit       applies a good update; the only place that assigns (commit.py)
  Plan         how all of it is compiled: eager, graph, halves, xla (plan.py)

From ``StepEngine.run`` to the tape: the loop's body, ``Turns.turn``, ``Step.advance``, ``GlobalBatch.measured``,
``Compute.gradients``, ``Compute._part``.
"""
