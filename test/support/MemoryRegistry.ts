/** A registry in memory: keys, relayed handshakes and trust pairs of many nodes, each with its own `RegistryClient` face. */
import { Effect } from "effect"
import { type PolledHandshakes, type RegistryClient, RegistryError } from "../../src/actors/registry/RegistryClient.ts"
import * as Address from "../../src/protocol/wire/Address.ts"
import { NO_CARDS, noKeyChains } from "./NoCards.ts"

type Inbox = {
  requests: Array<PolledHandshakes["requests"][number]>
  responses: Array<PolledHandshakes["responses"][number]>
}

/** What the registry knows; tests read and change it freely. */
export class MemoryRegistry {
  readonly keys = new Map<number, Uint8Array>()
  readonly inboxes = new Map<number, Inbox>()
  /** `a>b`: a has reported trust in b. */
  readonly reports = new Set<string>()
  /** Calls by operation, in order, as `operation caller peer`. */
  readonly calls: Array<string> = []
  /** Operations that fail, or `*` for all. */
  readonly failing = new Set<string>()

  /** What waits for a node. */
  inbox(node: number): Inbox {
    const inbox = this.inboxes.get(node) ?? { requests: [], responses: [] }
    this.inboxes.set(node, inbox)
    return inbox
  }

  /** The face towards one node. */
  client(caller: number): RegistryClient["Service"] {
    const never = Effect.die("not a part of these tests")
    const call = <A>(operation: string, peer: number, run: () => Effect.Effect<A, RegistryError> | A) =>
      Effect.suspend((): Effect.Effect<A, RegistryError> => {
        this.calls.push(`${operation} ${caller} ${peer}`)
        if (this.failing.has(operation) || this.failing.has("*")) return refuse("Unavailable", operation, "down")
        const result = run()
        return Effect.isEffect(result) ? result : Effect.succeed(result)
      })
    return {
      register: () => never,
      publishKeyChain: noKeyChains,
      cards: NO_CARDS,
      heartbeat: never,
      deregister: never,
      resolve: () => never,
      resolveHostname: () => never,
      setHostname: () => never,
      setVisibility: () => never,
      setTags: () => never,
      setTaskExec: () => never,
      score: () => never,
      addScore: () => never,
      lookup: (node) =>
        call("lookup", node, () => {
          const publicKey = this.keys.get(node)
          if (publicKey === undefined) return refuse("NotFound", "lookup", "no such node")
          const address = Address.make(0, node)
          return Effect.succeed({
            node,
            address,
            publicKey,
            hostname: "",
            isPublic: false,
            endpoint: undefined,
            raw: {}
          })
        }),
      reportTrust: (peer) => call("reportTrust", peer, () => void this.reports.add(`${caller}>${peer}`)),
      revokeTrust: (peer) =>
        call("revokeTrust", peer, () => {
          const had = [this.reports.delete(`${caller}>${peer}`), this.reports.delete(`${peer}>${caller}`)]
          return had.includes(true) ? Effect.void : refuse("Refused", "revokeTrust", "no trust pair")
        }),
      requestHandshake: (peer, justification) =>
        call("requestHandshake", peer, () => {
          const { requests } = this.inbox(peer)
          if (requests.some(({ from }) => from === caller))
            return refuse("Refused", "requestHandshake", `handshake request already pending from node ${caller}`)
          requests.push({ from: Address.NodeId(caller), justification, timestamp: 0 })
          return Effect.void
        }),
      respondHandshake: (peer, accept) =>
        call("respondHandshake", peer, () => {
          this.inbox(peer).responses.push({ from: Address.NodeId(caller), accept, timestamp: 0 })
        }),
      pollHandshakes: call("pollHandshakes", caller, () => {
        const inbox = this.inbox(caller)
        this.inboxes.delete(caller)
        return inbox
      })
    }
  }
}

const refuse = (
  reason: RegistryError["reason"],
  operation: string,
  detail: string
): Effect.Effect<never, RegistryError> => Effect.fail(new RegistryError({ reason, operation, detail }))
