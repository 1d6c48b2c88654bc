/**
 * Several peers that expose the same service, behind one mount: each is measured over the way that calls take, dial, HELLO
 * and WELCOME of its keeper, without starting a server; `InstanceSelector` says which one the mount uses.
 *
 * Owns the selection and one measuring fiber per instance; told by the mount of dials that fail.
 */
import { Clock, Effect, Exit, Latch, Random, type Scope } from "effect"
import * as MonotonicTime from "../../../core/actor/MonotonicTime.ts"
import { Crypto } from "../../../core/crypto/Crypto.ts"
import type { Duplex } from "../../../core/net/Duplex.ts"
import * as InstanceSelector from "../../../protocol/relay/InstanceSelector.ts"
import { Frame } from "../../../protocol/relay/RelayFrame.ts"
import type { Target } from "../Target.ts"
import { CannotReach } from "./ShimFailure.ts"
import * as ShimLink from "./ShimLink.ts"

/** How a mount learns that it has to go elsewhere. */
export interface Moves {
  /** True once after each move: the session has to be opened anew, at another keeper. */
  readonly take: () => boolean
  readonly isPending: () => boolean
  /** How many there were. */
  readonly count: () => number
  /** Why the last move was made, in a sentence. */
  readonly because: () => string
  /** The server of the instance in use does not work, although its keeper may answer. */
  readonly failing: Effect.Effect<void>
  /** Waits for a move. */
  readonly moved: Effect.Effect<void>
}

/** What a mount needs in the place of one peer. */
export interface Instances<E> extends Moves {
  /** The instance in use; another one after a move. */
  readonly target: Target
  readonly dial: Effect.Effect<Duplex<E>, CannotReach, Scope.Scope>
}

/** Measures in the surrounding scope. `targets` is not empty; its first is dialled before anything is known. */
export const make = Effect.fnUntraced(function* <E>(
  targets: readonly [Target, ...ReadonlyArray<Target>],
  dial: (target: Target) => Effect.Effect<Duplex<E>, CannotReach, Scope.Scope>
): Effect.fn.Return<Instances<E>, never, Crypto | Scope.Scope> {
  const clock = yield* Clock.Clock
  const crypto = yield* Crypto
  const machine = InstanceSelector.make()
  const nowMs = () => MonotonicTime.nowMsUnsafe(clock)
  const moved = Latch.makeUnsafe(false)
  let state = InstanceSelector.initial(targets.length)
  let at = 0
  let isPending = false
  let moves = 0
  let because = ""
  const current = (): Target => targets[at] ?? targets[0]

  const learn = (input: InstanceSelector.Input) =>
    Effect.suspend(() => {
      const step = machine.step(state, input, nowMs())
      state = step.state
      const { index = at, reason = "first" } = step.outputs.at(-1) ?? {}
      if (index === at) return Effect.void
      const before = current()
      at = index
      moves++
      because = `${before.peer} ${REASONS[reason]}, so this mount uses ${current().peer} now.`
      isPending = true
      moved.openUnsafe()
      return Effect.logInfo(
        `mcp: ${before.peer}/${before.service} → ${current().peer}/${current().service}: ${because}`
      )
    })

  const measure = Effect.fnUntraced(function* (target: Target) {
    const beganAtMs = nowMs()
    const opened = yield* ShimLink.open(dial(target), ShimLink.credentials(crypto, target.service), 0)
    if (opened._tag === "Refused") {
      return yield* new CannotReach({ kind: "unreachable", detail: opened.reason, isFinal: false })
    }
    const rttMs = nowMs() - beganAtMs
    yield* Effect.ignore(opened.stream.send(Frame.Bye({ bye: { reason: "closed" } })))
    yield* opened.stream.end
    return rttMs
  }, Effect.scoped)

  const watch = (target: Target, index: number) =>
    Effect.gen(function* () {
      while (true) {
        const sinceMs = nowMs()
        const measured = yield* Effect.exit(Effect.timeout(measure(target), MEASURE_TIMEOUT))
        const isThere = Exit.isSuccess(measured)
        yield* learn(
          isThere
            ? InstanceSelector.Input.Measured({ index, rttMs: measured.value })
            : InstanceSelector.Input.Failed({ index, sinceMs })
        )
        const pauseMs = isThere || state.instances[index]?.isAway === true ? MEASURE_MS : MEASURE_FAILED_MS
        yield* Effect.sleep(pauseMs * (0.9 + (yield* Random.next) / 5))
      }
    })
  yield* Effect.forEach(targets, (target, index) => Effect.forkScoped(watch(target, index)), { discard: true })

  return {
    target: {
      get peer() {
        return current().peer
      },
      get service() {
        return current().service
      }
    },
    dial: Effect.suspend(() => {
      const index = at
      const sinceMs = nowMs()
      return Effect.tapError(dial(current()), () => learn(InstanceSelector.Input.Failed({ index, sinceMs })))
    }),
    take: () => {
      const had = isPending
      isPending = false
      moved.closeUnsafe()
      return had
    },
    isPending: () => isPending,
    count: () => moves,
    because: () => because,
    failing: Effect.suspend(() => learn(InstanceSelector.Input.ServerFailed({ index: at }))),
    moved: moved.await
  }
})

/** What a shim needs for one target, which is not measured, or for several instances. */
export const route = <E>(
  targets: readonly [Target, ...ReadonlyArray<Target>],
  dial: (target: Target) => Effect.Effect<Duplex<E>, CannotReach, Scope.Scope>
): Effect.Effect<Pick<Instances<E>, "target" | "dial"> & { readonly moves?: Moves }, never, Crypto | Scope.Scope> =>
  targets.length === 1
    ? Effect.succeed({ target: targets[0], dial: dial(targets[0]) })
    : Effect.map(make(targets, dial), (instances) => ({
        target: instances.target,
        dial: instances.dial,
        moves: instances
      }))

const REASONS: Readonly<Record<InstanceSelector.Reason, string>> = {
  first: "was not measured yet",
  away: "cannot be reached",
  failing: "answers, but its server does not work",
  slower: "has become slower than another"
}

/** Between two measurements of an instance, and after one that failed. */
const MEASURE_MS = 5_000
const MEASURE_FAILED_MS = 1_000
/** A peer that is gone answers nothing at all. */
const MEASURE_TIMEOUT = "5 seconds"
