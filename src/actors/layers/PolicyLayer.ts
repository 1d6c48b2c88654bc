/** Wires policy and audit log of a node; both are there before anything of a peer can arrive. */
import { Context, Effect, type FileSystem, type Path, Queue, type Scope } from "effect"
import { Crypto, type SigningKey } from "../../core/crypto/Crypto.ts"
import type { ProtocolEvent } from "../../protocol/ProtocolEvent.ts"
import * as RuleTime from "../../protocol/policy/RuleTime.ts"
import * as Fingerprint from "../../protocol/trust/Fingerprint.ts"
import { NodeId } from "../../protocol/wire/Address.ts"
import * as AuditActor from "../audit/AuditActor.ts"
import * as AuditEvents from "../audit/AuditEvents.ts"
import type * as AuditTrail from "../audit/AuditTrail.ts"
import type { Node } from "../node/Node.ts"
import * as PolicyActor from "../policy/PolicyActor.ts"
import * as PolicySource from "../policy/PolicySource.ts"
import type { PeerKeys } from "../trust/PeerKeys.ts"
import type { Trust } from "../trust/Trust.ts"
import { NodeError } from "./NodeError.ts"

/** Policy and audit log of a node. */
export interface Rules {
  readonly policy: PolicyActor.Running
  readonly audit: AuditTrail.Running
}

/** For whoever wired the node: its local socket, its gateway. */
export class NodeRules extends Context.Service<NodeRules, Rules>()("effect-pilot/actors/layers/NodeRules") {}

/** Both at work, in the surrounding scope. */
export interface Running extends Rules {
  /** Also tells the log what the node reports. */
  readonly report: (event: ProtocolEvent) => void
  /** The trust list has changed: taken from here on. */
  readonly stirred: Queue.Dequeue<void>
  readonly knowNetworks: (networks: ReadonlyMap<NodeId, number>) => void
}

/** What is asked of keys. */
export interface Keys extends Pick<PeerKeys["Service"], "pinned" | "isTrusted" | "names"> {
  /** The keys that a peer had before (security rule 9). */
  readonly former: (node: NodeId) => ReadonlyArray<Uint8Array>
}

/** Keys that are known only when the node is; until then everybody is a stranger. */
export const late = (keys: () => PeerKeys["Service"] | undefined): Keys => ({
  former: (node) => keys()?.chains.formerKeys(node) ?? [],
  pinned: (node) => keys()?.pinned(node),
  isTrusted: (node) => keys()?.isTrusted(node) === true,
  names: () => keys()?.names() ?? NO_NAMES
})

const NO_NAMES: ReadonlyMap<string, Uint8Array> = new Map()

/** Starts them. A file that is wrong keeps the node from starting. */
export const start = Effect.fnUntraced(function* (
  home: string,
  key: SigningKey,
  keys: Keys,
  report: (event: ProtocolEvent) => void
): Effect.fn.Return<Running, NodeError, Crypto | FileSystem.FileSystem | Path.Path | Scope.Scope> {
  const crypto = yield* Crypto
  const path = PolicySource.pathOf(home)
  const loaded = yield* Effect.mapError(
    PolicySource.load(path),
    ({ message }) =>
      new NodeError({
        reason: "PolicyUnusable",
        detail: `${path}, ${message}`,
        hint: `mend it (pilotctl policy check ${path} looks again), or move it away to allow what was exposed`
      })
  )
  const stirred = yield* Queue.sliding<void>(1)
  let networks: ReadonlyMap<NodeId, number> = new Map()
  let settings = () => loaded.policy.audit
  const shown = new WeakMap<Uint8Array, string>()
  const fingerprint = (publicKey: Uint8Array): string => {
    const text = shown.get(publicKey) ?? Fingerprint.format(crypto.sha256(publicKey))
    shown.set(publicKey, text)
    return text
  }
  const audit = yield* AuditActor.start({
    home,
    key,
    settings: () => settings(),
    fingerprint: (node) => {
      const pinned = keys.pinned(NodeId(node))
      return pinned === undefined ? undefined : fingerprint(pinned)
    }
  })
  const both = (event: ProtocolEvent) => {
    report(event)
    if (event._tag === "PeerTrusted" || event._tag === "TrustRevoked") Queue.offerUnsafe(stirred, undefined)
    const entry = AuditEvents.entryOf(event)
    if (entry !== undefined) audit.record(entry)
  }
  const policy = yield* PolicyActor.start({
    home,
    knowledge: { ...keys, fingerprint, network: (node) => networks.get(node) ?? 0 },
    trail: audit,
    report,
    loaded
  })
  settings = policy.settings
  const knowNetworks = (known: ReadonlyMap<NodeId, number>) => {
    networks = known
  }
  return { policy, audit, report: both, stirred, knowNetworks }
})

/** Follows the trust list, and ends accepted streams that the policy allows no more: at each change, and as time passes. */
export const enforce = Effect.fnUntraced(function* (
  { knowNetworks, policy, stirred }: Running,
  trust: Trust["Service"],
  node: Node["Service"]
): Effect.fn.Return<void, never, Scope.Scope> {
  const refresh = Effect.map(trust.trusted, (rows) =>
    knowNetworks(new Map(rows.map(({ network, node }) => [node, network])))
  )
  const sweep = Effect.gen(function* () {
    if (policy.guard.isOpen()) return
    const { address, boundPorts, connections } = yield* node.status
    const ports = new Set(boundPorts)
    for (const { id, localPort, remote } of connections) {
      if (!ports.has(localPort) || localPort === HANDSHAKE || remote.node === address.node) continue
      // What was exposed may be so no more, but then its service has ended it.
      if (!policy.guard.reaches(remote.node, localPort, true)) yield* node.closeConnection(id)
    }
  })
  let { revision } = policy.status()
  const next = Effect.suspend(() => {
    const changed = Effect.flatMap(policy.changed(revision), (status) =>
      Effect.sync(() => {
        revision = status.revision
      })
    )
    const isTimed = policy.status().policy.rules.some(({ time }) => RuleTime.isBounded(time))
    return isTimed ? Effect.asVoid(Effect.timeoutOption(changed, SWEEP_MS)) : changed
  })
  yield* refresh
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(Queue.take(stirred), refresh)))
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(next, sweep)))
})

const HANDSHAKE = 444
/** A rule that ends is obeyed by open streams so long after it at the latest. */
const SWEEP_MS = 30_000
