/**
 * What a history means now (security rule 9): which key counts, which is announced, whether the chain has forked. A pure
 * function of what was learnt when, so it says the same after a restart, and in whatever order statements came.
 *
 * From the anchor on, at each key:
 *
 * 1. A new key signed for by the recovery key in force counts at once, and before anything that the key itself says.
 * 2. A new key signed for by the key alone counts seven days after this reader first saw it, unless the key or the recovery
 *    key has cancelled it meanwhile, or a person here.
 * 3. Two new keys of equal standing are a fork: nobody counts until a person decides, or the recovery key.
 *
 * A recovery key is in force seven days after this reader first saw it enrolled, or at once if it came with the first key:
 * else a thief could enrol one and use it. Two enrolled within those days by the key alone do not count at all; later ones
 * never do, since only the recovery key in force may name its successor.
 */
import * as Bytes from "../../core/data/Bytes.ts"
import type { KeyHistory, Learnt } from "./KeyHistory.ts"

/** A recovery key, and when it is or was in force. */
export interface Recovery {
  readonly key: Uint8Array
  readonly fromSeconds: number
}

/** A new key that is announced and does not count yet. */
export interface Pending {
  readonly next: Uint8Array
  readonly fromSeconds: number
  readonly learntAtSeconds: number
}

/** What counts. */
export interface KeyStanding {
  /** The keys that counted one after the other, the present one last. */
  readonly path: ReadonlyArray<Uint8Array>
  readonly current: Uint8Array
  /** How many rotations lie before the present key, where that is known. */
  readonly sequence: number | undefined
  readonly recovery: Recovery | undefined
  /** Two recovery keys were enrolled by the key alone; neither counts. */
  readonly isRecoveryContested: boolean
  readonly pending: Pending | undefined
  /** The rival keys of a fork. */
  readonly fork: ReadonlyArray<Uint8Array> | undefined
}

/** How long a key alone has to wait (security rule 9). */
export const WAIT_SECONDS = 7 * 86_400

/** The standing at a moment. */
export const at = (history: KeyHistory, nowSeconds: number): KeyStanding => {
  const path: Array<Uint8Array> = [history.anchor]
  let step: Step = { key: history.anchor, ...origin(history) }
  for (;;) {
    const { recovery, isContested } = recoveryAt(history, step)
    const decision = decide(history, step, recovery, nowSeconds)
    const standing = {
      path,
      current: step.key,
      sequence: step.sequence,
      recovery,
      isRecoveryContested: isContested,
      pending: undefined,
      fork: undefined
    }
    if (decision._tag === "Stay") return standing
    if (decision._tag === "Fork") return { ...standing, fork: decision.keys }
    if (decision._tag === "Wait") return { ...standing, pending: decision.pending }
    path.push(decision.link.statement.next)
    step = follow(decision.link, decision.fromSeconds, recovery)
  }
}

/** Whether a key is, or once was, the one that counts. */
export const isOnPath = (self: KeyStanding, key: Uint8Array): boolean => self.path.some((one) => Bytes.equals(one, key))

/** When time alone will change something; infinity if never. */
export const dueAtSeconds = (self: KeyStanding): number => self.pending?.fromSeconds ?? Number.POSITIVE_INFINITY

/** Where the walk stands. */
interface Step {
  readonly key: Uint8Array
  readonly sequence: number | undefined
  /** What the link to this key says; the key has consented to it. */
  readonly inherited: Recovery | undefined
}

type Decision =
  | { readonly _tag: "Stay" }
  | { readonly _tag: "Fork"; readonly keys: ReadonlyArray<Uint8Array> }
  | { readonly _tag: "Wait"; readonly pending: Pending }
  | { readonly _tag: "Follow"; readonly link: Learnt; readonly fromSeconds: number }

/** What the link that made the anchor says, where it is known: the anchor has consented to it. */
const origin = ({ anchor, learnt }: KeyHistory): Omit<Step, "key"> => {
  const links = learnt.filter(({ statement }) => statement.kind === "rotate" && Bytes.equals(statement.next, anchor))
  const last = links.reduce<Learnt | undefined>(
    (newest, one) => (newest === undefined || one.statement.sequence > newest.statement.sequence ? one : newest),
    undefined
  )
  const { recovery, sequence } = last?.statement ?? { recovery: Bytes.empty, sequence: undefined }
  const fromSeconds = last === undefined || last.atSeconds === 0 ? 0 : last.atSeconds + WAIT_SECONDS
  return { sequence, inherited: recovery.length === 0 ? undefined : { key: recovery, fromSeconds } }
}

const decide = (history: KeyHistory, step: Step, recovery: Recovery | undefined, nowSeconds: number): Decision => {
  const links = linksFrom(history, step, recovery)
  const decisive = links.filter((link) => isDecisive(link, recovery, nowSeconds))
  const considered = decisive.length > 0 ? decisive : links.filter((link) => !isCancelled(history, link, recovery))
  const rivals = distinct(considered.map(({ statement }) => statement.next))
  if (rivals.length === 0) return { _tag: "Stay" }
  if (rivals.length > 1) return { _tag: "Fork", keys: rivals }
  // The same key may be named twice, by the key and by recovery: whichever comes first.
  const ways = considered.map((link) => ({ link, fromSeconds: fromSeconds(link, recovery) }))
  const { link, fromSeconds: from } = ways.reduce((one, other) => (other.fromSeconds < one.fromSeconds ? other : one))
  if (from <= nowSeconds) return { _tag: "Follow", link, fromSeconds: from }
  return { _tag: "Wait", pending: { next: link.statement.next, fromSeconds: from, learntAtSeconds: link.atSeconds } }
}

const follow = ({ statement }: Learnt, fromSeconds: number, recovery: Recovery | undefined): Step => ({
  key: statement.next,
  sequence: statement.sequence,
  inherited: statement.recovery.length === 0 ? undefined : (recovery ?? { key: statement.recovery, fromSeconds })
})

/** New keys that this key names, in order, under the recovery key that is known; none of them seen before on the way. */
const linksFrom = (history: KeyHistory, step: Step, recovery: Recovery | undefined): ReadonlyArray<Learnt> =>
  history.learnt.filter(
    ({ statement }) =>
      statement.kind === "rotate" &&
      Bytes.equals(statement.key, step.key) &&
      (step.sequence === undefined || statement.sequence === step.sequence + 1) &&
      !Bytes.equals(statement.next, history.anchor) &&
      !history.refused.has(Bytes.toHex(statement.next)) &&
      isUnder(statement.recovery, recovery) &&
      (statement.signer === "key" || recovery !== undefined)
  )

/** A key alone cannot exchange the recovery key on its way. */
const isUnder = (named: Uint8Array, recovery: Recovery | undefined): boolean =>
  recovery === undefined || Bytes.equals(named, recovery.key)

const isDecisive = ({ statement }: Learnt, recovery: Recovery | undefined, nowSeconds: number): boolean =>
  statement.signer === "recovery" && recovery !== undefined && recovery.fromSeconds <= nowSeconds

const fromSeconds = (link: Learnt, recovery: Recovery | undefined): number => {
  const waited = link.atSeconds + WAIT_SECONDS
  if (link.statement.signer === "key" || recovery === undefined) return waited
  return Math.min(waited, Math.max(link.atSeconds, recovery.fromSeconds))
}

/** Only until it counts; and what the recovery key has signed, the key alone cannot take back. */
const isCancelled = (history: KeyHistory, link: Learnt, recovery: Recovery | undefined): boolean =>
  history.learnt.some(
    ({ statement, atSeconds }) =>
      statement.kind === "cancel" &&
      Bytes.equals(statement.key, link.statement.key) &&
      Bytes.equals(statement.next, link.statement.next) &&
      isUnder(statement.recovery, recovery) &&
      atSeconds < fromSeconds(link, recovery) &&
      (statement.signer === "key"
        ? link.statement.signer === "key"
        : recovery !== undefined && recovery.fromSeconds <= atSeconds)
  )

interface Enrolled {
  readonly recovery: Recovery | undefined
  readonly isContested: boolean
}

const recoveryAt = (history: KeyHistory, step: Step): Enrolled => {
  const enrolments = history.learnt.filter(
    ({ statement }) => statement.kind === "enrol" && Bytes.equals(statement.key, step.key)
  )
  const first = step.inherited === undefined ? enrolledByKey(enrolments) : NOBODY
  if (first.isContested) return first
  let recovery = step.inherited ?? first.recovery
  const seen = new Set<string>()
  while (recovery !== undefined && !seen.has(Bytes.toHex(recovery.key))) {
    const present: Recovery = recovery
    seen.add(Bytes.toHex(present.key))
    const successors = enrolments.filter(
      ({ statement }) => statement.signer === "recovery" && Bytes.equals(statement.next, present.key)
    )
    const keys = distinct(successors.map(({ statement }) => statement.recovery))
    if (keys.length > 1) return { recovery: undefined, isContested: true }
    if (keys[0] === undefined) break
    recovery = { key: keys[0], fromSeconds: Math.max(present.fromSeconds, successors[0]!.atSeconds) }
  }
  return { recovery, isContested: false }
}

const enrolledByKey = (enrolments: ReadonlyArray<Learnt>): Enrolled => {
  const own = enrolments.filter(({ statement }) => statement.signer === "key")
  const first = own.reduce<Learnt | undefined>(
    (earliest, one) => (earliest === undefined || one.atSeconds < earliest.atSeconds ? one : earliest),
    undefined
  )
  if (first === undefined) return NOBODY
  const fromSeconds = first.atSeconds === 0 ? 0 : first.atSeconds + WAIT_SECONDS
  const isContested = own.some(
    ({ statement, atSeconds }) =>
      !Bytes.equals(statement.recovery, first.statement.recovery) && (atSeconds === 0 || atSeconds < fromSeconds)
  )
  if (isContested) return { recovery: undefined, isContested }
  return { recovery: { key: first.statement.recovery, fromSeconds }, isContested }
}

const NOBODY: Enrolled = { recovery: undefined, isContested: false }

const distinct = (keys: ReadonlyArray<Uint8Array>): ReadonlyArray<Uint8Array> =>
  keys.filter((key, index) => keys.findIndex((other) => Bytes.equals(key, other)) === index)
