/**
 * The instances of a service that was found by what it can do (mcp §6.11): who offers the same service later, or becomes trusted
 * later, joins those that were there when it was found, while clients go on; who takes it back, is not trusted any more or stays
 * away leaves them.
 *
 * *The same* is what it was at the start: its name and the hash of all its definitions, so that the tools that a client has seen
 * do not become others. Owns the fiber that searches again and again. A peer is known by its node, since its name may not be
 * known for a moment. The last instance stays, whatever becomes of it: its peer says best why calls fail.
 */
import { Clock, Effect, Result, type Scope } from "effect"
import * as MonotonicTime from "../../../core/actor/MonotonicTime.ts"
import type { Crypto } from "../../../core/crypto/Crypto.ts"
import { type FoundService, instances as instancesIn } from "../../../protocol/directory/FoundService.ts"
import { AGAIN_MS, FORGET_MS, SOON_MS } from "../client/PeerPatience.ts"
import * as ServiceLister from "../client/ServiceLister.ts"
import * as Target from "../Target.ts"
import * as Instances from "./Instances.ts"
import type { CannotReach } from "./ShimFailure.ts"

/** What a search says. */
export interface Answer {
  readonly found: ReadonlyArray<FoundService>
  /** Peers that did not answer, or not with everything. */
  readonly problems: ReadonlyArray<{ readonly node: number; readonly detail: string }>
  /** The nodes of all trusted peers. */
  readonly trusted: ReadonlyArray<number>
}

/**
 * What is found at the start. A peer that failed soon is asked once more, since the way to it may only have been made by the
 * first question; while nothing usable is found and somebody has not answered, all are asked again, for that time at most.
 */
export const first = <E, R>(search: Effect.Effect<Answer, E, R>, patienceMs: number): Effect.Effect<Answer, E, R> =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const nowMs = () => MonotonicTime.nowMsUnsafe(clock)
    const beganAtMs = nowMs()
    for (let asked = 1; ; asked++) {
      const askedAtMs = nowMs()
      const answer = yield* Effect.result(search)
      const isPatient = nowMs() - beganAtMs < patienceMs
      if (Result.isSuccess(answer)) {
        const { found, problems } = answer.success
        const isSoon = asked === 1 && nowMs() - askedAtMs <= SOON_MS
        const isWorthIt = isSoon || (isPatient && instancesIn(found).length === 0)
        if (problems.length === 0 || !isWorthIt) return answer.success
      } else if (!isPatient) return yield* Effect.fail(answer.failure)
      yield* Effect.sleep(AGAIN_MS)
    }
  })

/** Grows and shrinks in the surrounding scope. `search` is the search that found the targets; one that fails is made again. */
export const make = Effect.fnUntraced(function* <E>(
  targets: Target.Targets,
  dial: (target: Target.Target) => Instances.Route<E>["dial"],
  search: Effect.Effect<Pick<Answer, "found" | "trusted">, unknown>
): Effect.fn.Return<Instances.Instances<E>, never, Crypto | Scope.Scope> {
  const clock = yield* Clock.Clock
  const nowMs = () => MonotonicTime.nowMsUnsafe(clock)
  const instances = yield* Instances.varying(targets, dial)
  const members = new Set(targets.map((target): Member => ({ target, node: undefined, awaySinceMs: undefined })))
  let definitions: string | undefined

  const memberOf = ({ peer, target }: FoundService): Member | undefined => {
    const known = [...members]
    const isNode = ({ node }: Member) => node === peer.node
    return known.find(isNode) ?? known.find((one) => one.node === undefined && Target.format([one.target]) === target)
  }

  /** Those that are found stay or join; gives the members that were seen. */
  const welcome = Effect.fnUntraced(function* (found: ReadonlyArray<FoundService>) {
    const seen = new Set<Member>()
    definitions ??= found.find((one) => memberOf(one) !== undefined)?.definitions
    for (const one of found) {
      const target = Target.parse(one.target)
      if (target?.service !== targets[0].service) continue
      const known = memberOf(one)
      if (known !== undefined) {
        known.node = one.peer.node
        known.awaySinceMs = undefined
        seen.add(known)
      } else if (one.definitions === definitions && (yield* instances.add(target))) {
        const member: Member = { target, node: one.peer.node, awaySinceMs: undefined }
        members.add(member)
        seen.add(member)
        yield* Effect.logInfo(`mcp: ${one.target} offers the same service, and is used too`)
      }
    }
    return seen
  })

  /** Why a member is none any more, if that is so. */
  const standing = Effect.fnUntraced(function* (member: Member, trusted: ReadonlySet<number>) {
    if (member.node !== undefined && !trusted.has(member.node)) return Standing.Untrusted
    const listed = yield* Effect.result(ServiceLister.ask(dial(member.target)))
    if (Result.isSuccess(listed)) {
      member.awaySinceMs = undefined
      return listed.success.some(({ name }) => name === member.target.service) ? Standing.There : Standing.TakenBack
    }
    // An older keeper lists nothing, a busy one nothing now; both were reached.
    if (listed.failure._tag === "NoListing") return Standing.There
    if (isRefusal(listed.failure)) return Standing.Refused
    member.awaySinceMs ??= nowMs()
    return nowMs() - member.awaySinceMs >= FORGET_MS ? Standing.Gone : Standing.There
  })

  const dismiss = Effect.fnUntraced(function* (member: Member, why: Exclude<Standing, "There">) {
    if (!(yield* instances.remove(member.target))) return
    members.delete(member)
    yield* Effect.logInfo(`mcp: ${Target.format([member.target])} ${why}, and is not used any more`)
  })

  const look = Effect.gen(function* () {
    const { found, trusted } = yield* search
    const seen = yield* welcome(found.filter(({ isUsable }) => isUsable))
    const nodes = new Set(trusted)
    const others = [...members].filter((member) => !seen.has(member))
    const judged = yield* Effect.forEach(
      others,
      (member) => Effect.map(standing(member, nodes), (why) => ({ member, why })),
      {
        concurrency: "unbounded"
      }
    )
    // While nobody at all can be reached, it is this node that is away.
    const isAlone = [...members].every(({ awaySinceMs }) => awaySinceMs !== undefined)
    for (const { member, why } of judged) {
      if (why !== Standing.There && !(why === Standing.Gone && isAlone)) yield* dismiss(member, why)
    }
  })
  yield* look.pipe(
    Effect.catchCause((cause) => {
      // A node that cannot be asked says nothing about its peers.
      for (const member of members) member.awaySinceMs = undefined
      return Effect.logDebug("mcp: who else offers the service is not known", cause)
    }),
    Effect.andThen(Effect.sleep(SEARCH_EVERY)),
    Effect.forever,
    Effect.forkScoped
  )
  return instances
})

/** A peer whose service is one of the instances. */
interface Member {
  readonly target: Target.Target
  /** Undefined until a search has shown it. */
  node: number | undefined
  awaySinceMs: number | undefined
}

/** Whether it is an instance still; the others as they are told. */
const Standing = {
  There: "There",
  TakenBack: "does not offer the service any more",
  Untrusted: "is not trusted any more",
  Refused: "does not let this node in any more",
  Gone: "has been away for ten minutes"
} as const
type Standing = (typeof Standing)[keyof typeof Standing]

const isRefusal = ({ isFinal, kind }: CannotReach): boolean => kind === "denied" && isFinal

/** Every trusted peer is asked for its cards. */
const SEARCH_EVERY = "30 seconds"
