/**
 * Who a peer is to the policy, at this instant: its pinned key, the names pinned to that key, whether it is trusted. Kept
 * until one of them changes; strangers are all the same one, so that they cost nothing.
 */
import * as Policy from "../../protocol/policy/Policy.ts"
import type { Subject } from "../../protocol/policy/Who.ts"
import type { NodeId } from "../../protocol/wire/Address.ts"

/** What is known of keys. */
export interface Knowledge {
  readonly pinned: (node: NodeId) => Uint8Array | undefined
  /** The keys it had before, as far as its chain was followed. */
  readonly former: (node: NodeId) => ReadonlyArray<Uint8Array>
  readonly names: () => ReadonlyMap<string, Uint8Array>
  readonly isTrusted: (node: NodeId) => boolean
  readonly fingerprint: (publicKey: Uint8Array) => string
  /** The network of the trust list; 0 for none. */
  readonly network: (node: NodeId) => number
}

/** A peer with the rules that speak of it. */
export interface Known {
  readonly subject: Subject
  readonly rules: Policy.SubjectRules
}

interface Entry extends Known {
  readonly key: Uint8Array
  readonly names: ReadonlyMap<string, Uint8Array>
  readonly network: number
}

/** Mutable, with one owner. */
export class Subjects {
  readonly #knowledge: Knowledge
  readonly #entries = new Map<NodeId, Entry>()
  #policy: Policy.Policy
  #stranger: Known

  constructor(knowledge: Knowledge, policy: Policy.Policy) {
    this.#knowledge = knowledge
    this.#policy = policy
    this.#stranger = { subject: STRANGER, rules: Policy.rulesFor(policy, STRANGER) }
  }

  /** Other rules hold from now on. */
  follow(policy: Policy.Policy): void {
    this.#policy = policy
    this.#entries.clear()
    this.#stranger = { subject: STRANGER, rules: Policy.rulesFor(policy, STRANGER) }
  }

  /** The peer now. */
  of(node: NodeId): Known {
    const { fingerprint, former, isTrusted, names, network, pinned } = this.#knowledge
    const key = isTrusted(node) ? pinned(node) : undefined
    if (key === undefined) return this.#stranger
    const known = this.#entries.get(node)
    const [pinnedNames, ownNetwork] = [names(), network(node)]
    if (known?.key === key && known.names === pinnedNames && known.network === ownNetwork) return known
    const own = [...pinnedNames].flatMap(([name, other]) => (isSame(other, key) ? [name] : []))
    const formerFingerprints = former(node).map(fingerprint)
    const shown = { fingerprint: fingerprint(key), formerFingerprints }
    const subject: Subject = { ...shown, isTrusted: true, names: own, network: ownNetwork }
    const entry = {
      subject,
      rules: Policy.rulesFor(this.#policy, subject),
      key,
      names: pinnedNames,
      network: ownNetwork
    }
    if (this.#entries.size >= ENTRIES_MAX) this.#entries.delete(this.#entries.keys().next().value!)
    this.#entries.set(node, entry)
    return entry
  }
}

const isSame = (a: Uint8Array, b: Uint8Array): boolean => a === b || a.every((byte, index) => byte === b[index])

const STRANGER: Subject = { fingerprint: "", isTrusted: false, names: [], network: 0 }
/** Peers whose rules are kept; the oldest make room. */
export const ENTRIES_MAX = 16_384
