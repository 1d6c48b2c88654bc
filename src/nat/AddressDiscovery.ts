/**
 * Asks the beacon for the address that the world sees (rendezvous §9.1, better): from the data socket itself, three
 * times at one second, or less before it has ever answered, believing only the beacon asked. The same question announces the node.
 *
 * A beacon holds a changed address back until it is announced twice (rendezvous §8, better 1), so an answer that differs
 * from the last one is followed by one more question.
 */
import { Data } from "effect"
import * as Endpoint from "../core/data/Endpoint.ts"
import type { NodeId } from "../protocol/wire/Address.ts"
import type { BeaconMessage } from "../protocol/wire/BeaconMessage.ts"

/** Patience. */
export interface Config {
  readonly tries: number
  readonly intervalMs: number
  /** Between the first answer that shows a new address and the question that confirms it. */
  readonly confirmMs: number
}

/** Three questions in three seconds. The beacon wants at least half a second between the two of a confirmation. */
export const defaults: Config = { tries: 3, intervalMs: 1000, confirmMs: 750 }

/** Before the beacon has ever answered: the node is not registered yet, and looks for another way when there is no UDP. */
export const first: Config = { ...defaults, intervalMs: 400 }

/** One round of asking. */
export interface AddressDiscovery {
  readonly beacon: Endpoint.Endpoint
  readonly node: NodeId
  /** From the last answer, of this round or an earlier one. */
  readonly mapped: Endpoint.Endpoint | undefined
  readonly phase: Phase
}

/**
 * `Asking`: `asked` questions are out, the next is due at `nextAtMs`. `Confirming`: the answer showed a new address,
 * which is announced again at `nextAtMs`. `Done`: an answer came. `Failed`: none came.
 */
export type Phase = Data.TaggedEnum<{
  Asking: { readonly asked: number; readonly nextAtMs: number }
  Confirming: { readonly nextAtMs: number }
  Done: {}
  Failed: {}
}>
export const Phase = Data.taggedEnum<Phase>()

/** A new round; `timeout` at once asks the first question. `mapped` is what an earlier round found. */
export const start = (
  beacon: Endpoint.Endpoint,
  node: NodeId,
  mapped: Endpoint.Endpoint | undefined,
  nowMs: number
): AddressDiscovery => ({ beacon, node, mapped, phase: Phase.Asking({ asked: 0, nextAtMs: nowMs }) })

/** When to call `timeout`; `undefined` when the round is over. */
export const deadlineMs = ({ phase }: AddressDiscovery): number | undefined =>
  phase._tag === "Asking" || phase._tag === "Confirming" ? phase.nextAtMs : undefined

/** The next state, and the question to send to `beacon` now, if any. A call before the deadline changes nothing. */
export const timeout = (
  self: AddressDiscovery,
  config: Config,
  nowMs: number
): { readonly next: AddressDiscovery; readonly send: BeaconMessage | undefined } => {
  const { phase } = self
  const dueAtMs = deadlineMs(self)
  if (dueAtMs === undefined || nowMs < dueAtMs) return { next: self, send: undefined }
  const send: BeaconMessage = { _tag: "Discover", node: self.node, identityKey: undefined }
  if (phase._tag !== "Asking") return { next: { ...self, phase: Phase.Done() }, send }
  if (phase.asked >= config.tries) return { next: { ...self, phase: Phase.Failed() }, send: undefined }
  const asking = Phase.Asking({ asked: phase.asked + 1, nextAtMs: nowMs + config.intervalMs })
  return { next: { ...self, phase: asking }, send }
}

/** A discover reply arrived; one from anywhere but the beacon, or that nobody waits for, changes nothing. */
export const received = (
  self: AddressDiscovery,
  config: Config,
  from: Endpoint.Endpoint,
  mapped: Endpoint.Endpoint,
  nowMs: number
): AddressDiscovery => {
  const { phase } = self
  if (phase._tag !== "Asking" || phase.asked === 0 || !Endpoint.equals(from, self.beacon)) return self
  // Id 0 only asks: nothing is held back, so there is nothing to confirm.
  const isChanged = self.node !== 0 && self.mapped !== undefined && !Endpoint.equals(self.mapped, mapped)
  const next = isChanged ? Phase.Confirming({ nextAtMs: nowMs + config.confirmMs }) : Phase.Done()
  return { ...self, mapped, phase: next }
}
