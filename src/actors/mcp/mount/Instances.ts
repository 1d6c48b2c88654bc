/**
 * Several peers that expose the same service, behind one mount: each is measured over the way that calls take, dial, HELLO
 * and WELCOME of its keeper, without starting a server; `InstanceSelector` says which one a session uses.
 *
 * Owns one measuring fiber per instance and the selection for each session; told by them of dials and servers that fail.
 */
import { Clock, Effect, Exit, Fiber, Random, type Scope } from "effect"
import * as MonotonicTime from "../../../core/actor/MonotonicTime.ts"
import { Crypto } from "../../../core/crypto/Crypto.ts"
import type { Duplex } from "../../../core/net/Duplex.ts"
import * as InstanceSelector from "../../../protocol/relay/InstanceSelector.ts"
import { Frame } from "../../../protocol/relay/RelayFrame.ts"
import { INSTANCES_MAX, isSame, type Target, type Targets } from "../Target.ts"
import { InstanceChoice } from "./InstanceChoice.ts"
import { CannotReach } from "./ShimFailure.ts"
import * as ShimLink from "./ShimLink.ts"

/** How a session learns that it has to go elsewhere. */
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
  /** The instance in use does not let this node in; done when there is a move, or no other that anything can be hoped of. */
  readonly refused: Effect.Effect<void>
  /** Waits for a move. */
  readonly moved: Effect.Effect<void>
  /** The instances that the session is not at. */
  readonly others: () => ReadonlyArray<Target>
  /** The session is at that instance from now on, without a connection to any. */
  readonly stay: (target: Target) => void
}

/** Where one session leads. */
export interface Route<E> {
  /** The instance that the session is at; another one once it has taken a move. */
  readonly target: Target
  readonly dial: Effect.Effect<Duplex<E>, CannotReach, Scope.Scope>
  /** Absent where there is one peer. */
  readonly moves?: Moves
}

/** What is known of one instance. `rttMs` is undefined while it was never measured. */
export interface Seen {
  readonly target: Target
  readonly rttMs: number | undefined
  readonly isAway: boolean
  /** Its server has failed lately, so nobody goes there who need not. */
  readonly isDistrusted: boolean
}

/** One service of one or several peers, for any number of sessions. */
export interface Instances<E> {
  /** Where a session that begins now would lead. */
  readonly target: Target
  /** A session's own route, until its scope ends. Sessions share what is measured, and judge servers each for itself. */
  readonly follow: Effect.Effect<Route<E>, never, Scope.Scope>
  /** The same for a session that was at that instance in an earlier process, and stays there; undefined if it is none of these. */
  readonly goOn: (at: Target) => Effect.Effect<Route<E> | undefined, never, Scope.Scope>
  /** What is known of them; nothing is measured where there is only one. */
  readonly seen: () => ReadonlyArray<Seen>
}

/** Instances to which others may come, and which may go. */
export interface Varying<E> extends Instances<E> {
  /** From now on sessions may go there too; false if it is there already, or there are too many. */
  readonly add: (target: Target) => Effect.Effect<boolean>
  /** Sessions that are there go elsewhere, and nobody goes there any more; false if it is the last one, or none. */
  readonly remove: (target: Target) => Effect.Effect<boolean>
}

/** The service of one peer. */
export const one = <E>(target: Target, dial: Route<E>["dial"]): Instances<E> => ({
  target,
  follow: Effect.succeed({ target, dial }),
  goOn: (at) => Effect.succeed(isSame(at, target) ? { target, dial } : undefined),
  seen: () => [{ target, rttMs: undefined, isAway: false, isDistrusted: false }]
})

/** Several are measured in the surrounding scope. `targets` is not empty; its first is dialled before anything is known. */
export const make = <E>(
  targets: Targets,
  dial: (target: Target) => Route<E>["dial"]
): Effect.Effect<Instances<E>, never, Crypto | Scope.Scope> =>
  targets.length === 1 ? Effect.succeed(one(targets[0], dial(targets[0]))) : varying(targets, dial)

/** The same, measured even if there is only one, because it may not stay alone. */
export const varying = Effect.fnUntraced(function* <E>(
  first: Targets,
  dial: (target: Target) => Route<E>["dial"]
): Effect.fn.Return<Varying<E>, never, Crypto | Scope.Scope> {
  const scope = yield* Effect.scope
  /** Places, by the index that sessions and the selector know; those of `gone` are free for others. */
  const targets: [Target, ...Array<Target>] = [...first]
  const gone = new Set<number>()
  const watches = new Map<number, Fiber.Fiber<never>>()
  const clock = yield* Clock.Clock
  const crypto = yield* Crypto
  const nowMs = () => MonotonicTime.nowMsUnsafe(clock)
  /** What sessions begin with. It never moves anybody. */
  const common = new InstanceChoice(targets, InstanceSelector.initial(targets.length))
  const sessions = new Set<InstanceChoice>()
  let told = ""

  /** Sessions that go the same way at the same time are one line. */
  const tell = (sentence: string | undefined) => {
    if (sentence === undefined || sentence === told) return Effect.void
    told = sentence
    return Effect.logInfo(`mcp: ${sentence}`)
  }
  const learn = (input: InstanceSelector.Input) =>
    Effect.suspend(() => {
      common.learn(input, nowMs())
      return Effect.forEach([...sessions], (session) => tell(session.learn(input, nowMs())), { discard: true })
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
        const found = yield* Effect.exit(Effect.timeout(measure(target), MEASURE_TIMEOUT))
        const isThere = Exit.isSuccess(found)
        yield* learn(
          isThere
            ? InstanceSelector.Input.Measured({ index, rttMs: found.value })
            : InstanceSelector.Input.Failed({ index, sinceMs })
        )
        const pauseMs = isThere || common.knows(index).isAway ? MEASURE_MS : MEASURE_FAILED_MS
        yield* Effect.sleep(pauseMs * (0.9 + (yield* Random.next) / 5))
      }
    })
  const start = (target: Target, index: number) =>
    Effect.map(Effect.forkIn(watch(target, index), scope), (fiber) => void watches.set(index, fiber))
  yield* Effect.forEach(targets, start, { discard: true })

  const indexOf = (target: Target) => targets.findIndex((known, index) => !gone.has(index) && isSame(known, target))

  /** The place that it had, else one that nobody is at, else a new one. */
  const placeFor = (target: Target): number => {
    const choices = [common, ...sessions]
    const free = [...gone].filter((index) => choices.every((choice) => !choice.isAt(index)))
    return [...gone].find((index) => isSame(targets[index] ?? target, target)) ?? free[0] ?? targets.length
  }

  const add = (target: Target) =>
    Effect.suspend(() => {
      if (targets.length - gone.size >= INSTANCES_MAX || indexOf(target) >= 0) return Effect.succeed(false)
      const index = placeFor(target)
      const { grown, renewed } = InstanceSelector
      const change = index === targets.length ? grown : (state: InstanceSelector.State) => renewed(state, index)
      targets[index] = target
      gone.delete(index)
      for (const choice of [common, ...sessions]) choice.state = change(choice.state)
      return Effect.as(start(target, index), true)
    })

  const remove = Effect.fnUntraced(function* (target: Target) {
    const index = indexOf(target)
    if (index < 0 || targets.length - gone.size === 1) return false
    gone.add(index)
    const watching = watches.get(index)
    if (watching !== undefined) yield* Fiber.interrupt(watching)
    watches.delete(index)
    yield* learn(InstanceSelector.Input.Removed({ index }))
    return true
  })

  /** What one session has met at an instance: others may have what it has not, so only those who begin now are told as well. */
  const judge = (session: InstanceChoice, met: InstanceSelector.Input) => {
    common.learn(met, nowMs())
    return tell(session.learn(met, nowMs()))
  }

  /** `at` is the index of the instance that the session begins at, if that is decided. */
  const followFrom = Effect.fnUntraced(function* (at: number | undefined) {
    const session = yield* Effect.acquireRelease(
      Effect.sync(
        () => new InstanceChoice(targets, at === undefined ? common.state : { ...common.state, current: at })
      ),
      (ended) => Effect.sync(() => sessions.delete(ended))
    )
    sessions.add(session)
    return {
      target: session.target,
      dial: Effect.suspend(() => {
        const index = session.used
        const sinceMs = nowMs()
        return Effect.tapError(dial(session.target), () => learn(InstanceSelector.Input.Failed({ index, sinceMs })))
      }),
      moves: {
        take: () => session.take(),
        isPending: () => session.isPending,
        count: () => session.moves,
        because: () => session.because,
        failing: Effect.suspend(() => judge(session, InstanceSelector.Input.ServerFailed({ index: session.used }))),
        // It answers, so no time is given to it as to one that may be restarting.
        refused: Effect.suspend(() => {
          const sinceMs = Number.NEGATIVE_INFINITY
          const told = judge(session, InstanceSelector.Input.Failed({ index: session.used, sinceMs }))
          return Effect.andThen(told, session.settled)
        }),
        moved: session.moved.await,
        others: () => targets.filter((_, index) => index !== session.used && !gone.has(index)),
        stay: (there: Target) => session.stay(there)
      }
    }
  })
  const goOn = (there: Target) => {
    const at = indexOf(there)
    return at < 0 ? Effect.succeed(undefined) : followFrom(at)
  }
  const seen = () =>
    targets.flatMap((target, index) => {
      const { distrustedUntilMs, isAway, rttMs } = common.knows(index)
      return gone.has(index) ? [] : [{ target, rttMs, isAway, isDistrusted: distrustedUntilMs > nowMs() }]
    })
  return { target: common.target, follow: followFrom(undefined), goOn, seen, add, remove }
})

/** Between two measurements of an instance, and after one that failed. */
const MEASURE_MS = 5_000
const MEASURE_FAILED_MS = 1_000
/** A peer that is gone answers nothing at all. */
const MEASURE_TIMEOUT = "5 seconds"
