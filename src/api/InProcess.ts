/** `Pilot` over a node that runs in this process. */
import { type Cause, Context, Effect, Result, Scope, Stream } from "effect"
import * as WhyReply from "../actors/ipc/WhyReply.ts"
import { DialError, Node, type Connection as NodeConnection } from "../actors/node/Node.ts"
import * as Names from "../actors/registry/Names.ts"
import { type LookedUp, RegistryClient, type RegistryError } from "../actors/registry/RegistryClient.ts"
import { type KeyChanged, type NameMoved, PeerKeys } from "../actors/trust/PeerKeys.ts"
import { Trust } from "../actors/trust/Trust.ts"
import * as Provided from "../core/actor/Provided.ts"
import { Crypto } from "../core/crypto/Crypto.ts"
import * as Bytes from "../core/data/Bytes.ts"
import * as Fingerprint from "../protocol/trust/Fingerprint.ts"
import * as Address from "../protocol/wire/Address.ts"
import * as Connection from "./Connection.ts"
import * as InProcessCallers from "./InProcessCallers.ts"
import { type Peer, type Pilot, PilotError } from "./PilotService.ts"
import * as Why from "./Why.ts"

/** The service, on the services of a node. */
export const make: Effect.Effect<Pilot["Service"], never, Crypto | Node | PeerKeys | RegistryClient | Trust> =
  Effect.gen(function* () {
    const services = yield* Provided.services<Crypto | Node | PeerKeys | RegistryClient>()
    const node = yield* Node
    const trust = yield* Trust
    const around = Context.add(services, Trust, trust)
    const bind: Pilot["Service"]["bind"] = (port, options) =>
      Effect.map(node.listen(Address.Port(port)), ({ accept }) =>
        Stream.mapEffect(accepted(accept), (connection) => Connection.configured(connection, options))
      )
    const located = (target: string) => Effect.provide(locate(target, Names.recent), services)
    const forget = (target: string) => Effect.provide(Names.forget(literalAddress(target)?.node ?? target), services)
    return {
      info: Effect.provide(info, services),
      resolve: (target) => Effect.provide(resolve(target), services),
      dial: Effect.fn("Pilot.dial")(function* (target, port, options) {
        const address = yield* located(target)
        const dialled = yield* Effect.tapError(node.dial(address, Address.Port(port), options), () => forget(target))
        return yield* Connection.configured(fromNode(dialled), options)
      }),
      bind,
      listen: (port, options) => Stream.unwrap(bind(port, options)),
      identify: Effect.fnUntraced(function* (remote) {
        const address = literalAddress(remote)
        if (address === undefined)
          return yield* new PilotError({ reason: "Refused", detail: `${remote} is no address` })
        const caller = yield* Effect.provide(InProcessCallers.caller(address), around)
        return { ...caller, keys: yield* Effect.provide(InProcessCallers.trustedKeys(address.node), around) }
      }),
      keyScheme: Effect.fn("Pilot.keyScheme")(function* (target) {
        const address = yield* located(target)
        const { peers } = yield* node.status
        return peers.find((peer) => peer.node === address.node)?.scheme ?? "legacy"
      }),
      trusted: Effect.map(trust.trusted, (peers) =>
        peers.map(({ node: peer, publicKey }) => ({ node: peer, publicKey }))
      ),
      publicCards: (question) => Effect.provide(publicCards(question), services),
      why: Effect.fn("Pilot.why")(function* (target) {
        const { node: id } = yield* located(target)
        const { connections, nat } = yield* node.status
        const own = connections.filter(({ remote }) => remote.node === id)
        const knowledge = nat ?? { report: undefined, lifetime: undefined }
        return Why.ofReply(WhyReply.make({ peer: yield* node.peer(id), connections: own, nat: knowledge }))
      }),
      ping: Effect.fn("Pilot.ping")(function* (target, options) {
        const address = yield* located(target)
        const rttMs = yield* node
          .ping(address, options?.timeoutMs ?? PING_TIMEOUT_MS)
          .pipe(Effect.tapError(() => forget(target)))
        const { peers } = yield* node.status
        return { rttMs, path: peers.find((peer) => peer.node === address.node)?.path ?? "direct" }
      })
    }
  })

const publicCards = Effect.fnUntraced(function* (
  question: Parameters<RegistryClient["Service"]["cards"]["search"]>[0]
) {
  const { cards } = yield* RegistryClient
  const keys = yield* PeerKeys
  const found = yield* Effect.mapError(
    cards.search(question),
    ({ detail }) => new PilotError({ reason: "Refused", detail: `registry: ${detail}` })
  )
  return found.map((card) => ({ ...card, pinned: keys.pinned(card.node) }))
})

const info = Effect.gen(function* () {
  const node = yield* Node
  const crypto = yield* Crypto
  const status = yield* node.status
  const nowMs = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
  return {
    address: Address.format(status.address),
    node: status.address.node,
    hostname: status.hostname,
    fingerprint: Fingerprint.format(crypto.sha256(status.publicKey)),
    uptimeSeconds: Math.floor((nowMs - status.startedAtMs) / 1000)
  }
})

type Ask = (
  target: string | Address.NodeId
) => Effect.Effect<LookedUp, RegistryError | NameMoved | KeyChanged, PeerKeys | RegistryClient>

/** Asks the registry whatever was found a moment ago. */
const askAgain: Ask = (target) => (typeof target === "string" ? Names.resolve(target) : Names.lookup(target))

/** What stands behind an address, a decimal node id or a name, checked against its pin, or pinned. */
const find = (target: string, ask: Ask): Effect.Effect<LookedUp, DialError, PeerKeys | RegistryClient> =>
  Effect.catchTags(ask(literalAddress(target)?.node ?? target), {
    KeyChanged: (error) => refuse(target, "KeyChanged", moved(error)),
    NameMoved: (error) => refuse(target, "NameMoved", moved(error)),
    RegistryError: (error) => {
      if (error.reason === "Ambiguous" || error.reason === "NoRendezvous")
        return refuse(target, "NotFound", error.detail)
      return error.reason === "NotFound" || error.reason === "Refused"
        ? refuse(target, "NotFound", "the registry knows no such node, or hides it from this one")
        : refuse(target, "RegistryUnavailable", error.detail)
    }
  })

/** What stands behind the target now. */
export const lookUp = (target: string): Effect.Effect<LookedUp, DialError, PeerKeys | RegistryClient> =>
  find(target, askAgain)

const locate = (target: string, ask: Ask): Effect.Effect<Address.Address, DialError, PeerKeys | RegistryClient> =>
  Effect.map(find(target, ask), ({ address }) => literalAddress(target) ?? address)

const resolve = Effect.fn("Pilot.resolve")(function* (
  target: string
): Effect.fn.Return<Peer, DialError, Crypto | PeerKeys | RegistryClient> {
  const crypto = yield* Crypto
  const found = yield* lookUp(target)
  return {
    address: Address.format(literalAddress(target) ?? found.address),
    node: found.node,
    hostname: found.hostname,
    publicKey: Bytes.toBase64(found.publicKey),
    fingerprint: Fingerprint.format(crypto.sha256(found.publicKey))
  }
})

const literalAddress = (target: string): Address.Address | undefined => {
  if (/^[0-9]{1,10}$/.test(target) && Number(target) <= 0xffffffff) return Address.make(0, Number(target))
  return Result.getOrUndefined(Address.parse(target))
}

const moved = (error: { readonly pinnedFingerprint: string; readonly offeredFingerprint: string }): string =>
  `its pinned key is ${error.pinnedFingerprint}, the registry now gives ${error.offeredFingerprint}`

const refuse = (target: string, reason: DialError["reason"], detail: string): Effect.Effect<never, DialError> =>
  Effect.fail(new DialError({ reason, target, detail }))

/** The accepted connections; those still open when the stream ends are closed. */
const accepted = (accept: Effect.Effect<NodeConnection, Cause.Done>): Stream.Stream<Connection.Connection> =>
  Stream.scoped(
    Stream.fromPull(
      Effect.map(Effect.scope, (scope) =>
        Effect.map(
          Effect.tap(accept, (connection) => closeWith(scope, connection)),
          (connection) => [fromNode(connection)] as const
        )
      )
    )
  )

/** A scope per connection, which goes when the connection does, so that a long-lived listener holds nothing. */
const closeWith = Effect.fnUntraced(function* (scope: Scope.Scope, connection: NodeConnection) {
  const own = yield* Scope.fork(scope)
  yield* Scope.addFinalizer(own, connection.close)
  yield* Effect.forkIn(
    Effect.flatMap(Effect.exit(connection.closed), (exit) => Scope.close(own, exit)),
    scope
  )
})

const fromNode = (connection: NodeConnection): Connection.Connection =>
  Connection.fromDuplex(
    { read: connection.read, write: connection.write, end: connection.end },
    {
      close: connection.close,
      setNoDelay: (isOn) => connection.setNoDelay(isOn),
      remote: Address.format(connection.remote),
      remotePort: connection.remotePort,
      localPort: connection.localPort
    }
  )

const PING_TIMEOUT_MS = 5_000
