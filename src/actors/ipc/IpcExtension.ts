/**
 * Our own operations (opcode 0x71), for what the reference has no command for: everything that compares or shows
 * fingerprints (security rule 1), and the ping inside the tunnel (wire §12). JSON both ways.
 *
 * | op | takes | answers |
 * |---|---|---|
 * | `peer` | `target`, `recent`: what was found a moment ago will do | `node_id address hostname public fingerprint pinned trusted path rtt_ms …` |
 * | `ping` | `node`, `timeout_ms` | `node_id rtt_ms` |
 * | `netcheck` | | `udp nat mapping filtering hairpin ports local mapped lifetime beacons …` (`NatReply`) |
 * | `why` | `node` | `kind path rtt_ms loss reason candidates nat advice …` (`WhyReply`) |
 * | `lookup` | `node` | the registry's reply |
 * | `register` | `listen`: another endpoint than its own, or empty | `node_id address type`: registered again, with name and visibility |
 * | `approve` | `node`, `fingerprint` | as the handshake's approve |
 * | `pin.accept` | `node` or `name`, `fingerprint` | `node_id fingerprint` |
 * | `trust.keys` | | `trusted` |
 * | `dial` | `target`, `port`, `timeout_ms` | `dialled`: its connection; `node_id address`; with `ends` as below |
 * | `streams` | `ends` | `ends`: from then on a stream stays open for writing after its CloseOK push, until Close |
 * | `stream.end` | `connection` | `connection`: no more Sends; what the peer sends still comes |
 * | `stream.nodelay` | `connection`, `on` | `connection`: short segments wait for acknowledgements (off), or do not (on, the default) |
 * | `datagrams.hold` | `port`, 0 for a free one | `port`: from then on SendTo leaves from it, and only what comes to it is pushed |
 * | `events.status` | | the broker: `log first last size_bytes subscribers counters` (`IpcEvents`) |
 * | `webhook.status`, `.list`, `.retry`, `.drop` | `id`, or nothing for all | the webhook; `letters`; `count` |
 * | `task.…` | | see `IpcTasks` |
 * | `network.…` | | see `IpcNetworks` |
 * | `rendezvous`, `invite.…`, `trust.…` | | see `IpcTrust` |
 * | `card.…` | | see `IpcCards` |
 * | `rendezvous.…` | | see `IpcRendezvous` |
 * | `key.…`, `recovery.…`, `trust.rotation…` | | see `IpcKeys` |
 * | `policy.…`, `audit.…` | | see `PolicyCommands` |
 *
 * Those of streams and datagrams belong to the streams of one client (`IpcStreams`, `IpcDatagrams`). A client that knows ends is also pushed
 * `{ event: "stream.reset", connection, reason }` before the CloseOK of a stream that was reset, and when one takes no more.
 */
import { Clock, Effect, Option, Result } from "effect"
import type { Crypto } from "../../core/crypto/Crypto.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Json from "../../core/data/Json.ts"
import * as Fingerprint from "../../protocol/trust/Fingerprint.ts"
import * as Address from "../../protocol/wire/Address.ts"
import { Node } from "../node/Node.ts"
import * as Names from "../registry/Names.ts"
import { RegistryClient } from "../registry/RegistryClient.ts"
import { PeerKeys } from "../trust/PeerKeys.ts"
import { Trust } from "../trust/Trust.ts"
import * as DialErrorText from "./DialErrorText.ts"
import * as InfoReply from "./InfoReply.ts"
import * as IpcAnswer from "./IpcAnswer.ts"
import * as IpcCards from "./IpcCards.ts"
import * as IpcRegister from "./IpcRegister.ts"
import * as NatReply from "./NatReply.ts"
import * as WhyReply from "./WhyReply.ts"

/** The answer, or the text of the refusal, which begins with the operation's name. */
export const perform = (
  op: string,
  value: Json.JsonObject
): Effect.Effect<Json.JsonObject, string, Node | RegistryClient | Trust | PeerKeys | Crypto> => {
  switch (op) {
    case "peer":
      return peer(Json.string(value, "target"), value["recent"] === true)
    case "ping":
      return ping(nodeOf(value), Json.unsigned(value, "timeout_ms", 32) || PING_TIMEOUT_MS)
    case "netcheck":
      return netcheck
    case "why":
      return why(nodeOf(value))
    case "lookup":
      return lookup(nodeOf(value))
    case "register":
      return IpcRegister.again(Json.string(value, "listen"))
    case "approve":
      return approve(nodeOf(value), Json.string(value, "fingerprint"))
    case "pin.accept":
      return acceptKey(nodeOf(value), Json.string(value, "name"), Json.string(value, "fingerprint"))
    case "trust.keys":
      return IpcAnswer.trustedList
    case "card.sign":
      return IpcCards.sign(value)
    case "card.publish":
      return IpcCards.publish(value)
    case "card.withdraw":
      return IpcCards.withdraw(value)
    case "card.search":
      return IpcCards.search(value)
    default:
      return Effect.fail(`unknown operation: ${op}`)
  }
}

const peer = Effect.fnUntraced(function* (target: string, isRecent: boolean) {
  const node = yield* Node
  const keys = yield* PeerKeys
  const fingerprint = yield* IpcAnswer.fingerprints
  const found = yield* locate(target, isRecent)
  const status = yield* node.status
  const row = status.peers.find((candidate) => candidate.node === found.node)
  const surroundings = {
    nowMs: 0,
    version: "",
    beacon: "",
    pendingHandshakes: 0,
    memberships: [],
    fingerprint,
    isTrusted: keys.isTrusted
  }
  return {
    endpoint: "",
    encrypted: false,
    authenticated: false,
    relay: false,
    path: "none",
    trusted: keys.isTrusted(found.node),
    ...(row === undefined ? {} : InfoReply.peerRow(row, surroundings)),
    node_id: found.node,
    address: Address.format(found.address),
    hostname: found.hostname,
    public: found.isPublic,
    public_key: Bytes.toBase64(found.publicKey),
    fingerprint: fingerprint(found.publicKey),
    pinned: keys.pinned(found.node) !== undefined
  }
})

/** Looking at a peer is using it: its first key is pinned, another one refused (security rule 1). */
export const locate = Effect.fnUntraced(function* (target: string, isRecent: boolean) {
  if (target === "") return yield* Effect.fail("peer: missing target")
  const node = nodeIn(target)
  if (isRecent)
    return yield* IpcAnswer.refusing(node === undefined ? "resolve_hostname" : "lookup", Names.recent(node ?? target))
  return node === undefined
    ? yield* IpcAnswer.refusing("resolve_hostname", Names.resolve(target))
    : yield* IpcAnswer.refusing("lookup", Names.lookup(node))
})

const ping = Effect.fnUntraced(function* (node: Address.NodeId, timeoutMs: number) {
  const service = yield* Node
  const rttMs = yield* Effect.mapError(service.ping(Address.make(0, node), timeoutMs), (error) =>
    error._tag === "PingTimeout" ? `ping: no answer within ${timeoutMs} ms` : DialErrorText.format(error, node)
  )
  return { node_id: node, rtt_ms: Math.round(rttMs * 1000) / 1000 }
})

const why = Effect.fnUntraced(function* (node: Address.NodeId) {
  const service = yield* Node
  const { connections, nat, ...status } = yield* service.status
  const peer = yield* service.peer(node)
  const own = connections.filter(({ remote }) => remote.node === node)
  const knowledge = nat ?? { report: undefined, lifetime: undefined }
  return { ...WhyReply.make({ peer, connections: own, nat: knowledge }), ...NatReply.portMap(status) }
})

/** The registry tells whole seconds, so one of them is no difference; nothing is known while it is away. */
const netcheck = Effect.gen(function* () {
  const node = yield* Node
  const registry = yield* RegistryClient
  const beat = yield* Effect.option(registry.heartbeat)
  const skewSeconds = Option.isNone(beat)
    ? null
    : beat.value.timeSeconds - Math.floor((yield* Clock.currentTimeMillis) / 1000)
  const found = yield* node.nat
  const { beaconRoute, ...status } = yield* node.status
  const route = beaconRoute === undefined ? {} : { beacon_route: beaconRoute.by, websocket: beaconRoute.url }
  const seen = { ...NatReply.make(found), ...NatReply.portMap(status), ...NatReply.efforts(status) }
  return { ...seen, ...route, clock_skew_seconds: skewSeconds }
})

const lookup = (node: Address.NodeId) =>
  Effect.flatMap(RegistryClient, (registry) =>
    IpcAnswer.refusing(
      "lookup",
      Effect.map(registry.lookup(node), ({ raw }) => IpcAnswer.passedOn(raw))
    )
  )

const approve = Effect.fnUntraced(function* (node: Address.NodeId, typed: string) {
  const fingerprint = Fingerprint.parse(typed)
  if (fingerprint === undefined) return yield* Effect.fail("handshake approve: not a fingerprint")
  const trust = yield* Trust
  return yield* IpcAnswer.approved(node, trust.approve(node, fingerprint))
})

/**
 * The key offered now must be the one the person has compared; whatever else stands behind the name or address is not
 * accepted by mistake.
 */
const acceptKey = Effect.fnUntraced(function* (node: Address.NodeId, name: string, typed: string) {
  const registry = yield* RegistryClient
  const keys = yield* PeerKeys
  const fingerprint = yield* IpcAnswer.fingerprints
  const found = name === "" ? node : (yield* IpcAnswer.refusing("pin.accept", registry.resolveHostname(name))).node
  const offered = yield* IpcAnswer.refusing("pin.accept", registry.lookup(found))
  const shown = fingerprint(offered.publicKey)
  if (!Fingerprint.matches(typed, shown))
    return yield* Effect.fail(`pin.accept: fingerprint mismatch: node ${found} offers ${shown}`)
  yield* keys.acceptKey(found, offered.publicKey, name === "" ? undefined : name)
  yield* Names.forget(found)
  yield* Names.forget(name)
  // A tunnel that is open belongs to the key before.
  const service = yield* Node
  yield* service.dropPeer(found)
  return { node_id: found, fingerprint: shown }
})

/** What was found behind a target did not answer: the next one asks the registry again. */
export const forget = (target: string): Effect.Effect<void, never, RegistryClient> =>
  Names.forget(nodeIn(target) ?? target)

const nodeOf = (value: Json.JsonObject): Address.NodeId => Address.NodeId(Json.unsigned(value, "node", 32))

const nodeIn = (target: string): Address.NodeId | undefined => {
  if (/^\d{1,10}$/.test(target) && Number(target) <= 0xffffffff) return Address.NodeId(Number(target))
  const parsed = Address.parse(target)
  return Result.isSuccess(parsed) ? parsed.success.node : undefined
}

const PING_TIMEOUT_MS = 5000
