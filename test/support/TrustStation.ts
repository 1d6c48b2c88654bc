/** A node with its trust service, joined to others in memory: what the trust tests talk to. */
import { Context, Effect, type Scope } from "effect"
import { TestClock } from "effect/testing"
import { Node } from "../../src/actors/node/Node.ts"
import { RegistryClient } from "../../src/actors/registry/RegistryClient.ts"
import type * as KeyWatch from "../../src/actors/trust/KeyWatch.ts"
import type * as PeerChains from "../../src/actors/trust/PeerChains.ts"
import { PeerKeys } from "../../src/actors/trust/PeerKeys.ts"
import * as PeerKeysStore from "../../src/actors/trust/PeerKeysStore.ts"
import { type OpenServices, ServiceOpener } from "../../src/actors/trust/ServiceOpener.ts"
import type { Trust } from "../../src/actors/trust/Trust.ts"
import * as TrustStore from "../../src/actors/trust/TrustStore.ts"
import * as TrustSupervisor from "../../src/actors/trust/TrustSupervisor.ts"
import { Crypto, type SigningKey } from "../../src/core/crypto/Crypto.ts"
import * as NativeCrypto from "../../src/core/crypto/NativeCrypto.ts"
import * as Bytes from "../../src/core/data/Bytes.ts"
import type { ProtocolEvent } from "../../src/protocol/ProtocolEvent.ts"
import * as Address from "../../src/protocol/wire/Address.ts"
import * as HandshakeMessage from "../../src/protocol/wire/HandshakeMessage.ts"
import { type MemoryNode, MemoryNodes } from "./MemoryNodes.ts"
import { MemoryRegistry } from "./MemoryRegistry.ts"

/** The world of one test. */
export interface World {
  readonly nodes: MemoryNodes
  readonly registry: MemoryRegistry
}

/** One running station. */
export interface Station {
  readonly id: Address.NodeId
  readonly identity: SigningKey
  readonly node: MemoryNode
  readonly keys: PeerKeys["Service"]
  readonly trust: Trust["Service"]
  readonly reregistered: Effect.Effect<void>
  readonly watch: KeyWatch.KeyWatch
  readonly events: Array<ProtocolEvent>
}

/** What outlives a station and may start another one. */
export interface Remains {
  readonly store?: TrustStore.TrustStore
  readonly pins?: PeerKeysStore.PinStore
  readonly chains?: PeerChains.ChainStore<never>
  /** What invitations promise. */
  readonly openServices?: OpenServices
}

/** Nobody yet. */
export const world = (): World => ({ nodes: new MemoryNodes(), registry: new MemoryRegistry() })

/** The key pair of a node, always the same for the same number. */
export const identityOf = (fill: number): SigningKey => NativeCrypto.crypto.signingKey(new Uint8Array(32).fill(fill))

/** The same for any number up to 2^32. */
export const identityOf32 = (id: number): SigningKey =>
  NativeCrypto.crypto.signingKey(Bytes.concat(Bytes.ofU32(id), new Uint8Array(28)))

/** Registers a node and starts its trust service in the surrounding scope. */
export const start = Effect.fnUntraced(function* (
  { nodes, registry }: World,
  id: number,
  remains: Remains = {}
): Effect.fn.Return<Station, unknown, Scope.Scope> {
  const identity = identityOf(id)
  registry.keys.set(id, identity.publicKey)
  const node = nodes.add(id, identity.publicKey)
  const crypto = Context.make(Crypto, NativeCrypto.crypto)
  const pins = remains.pins ?? memoryPins()
  const keys = yield* PeerKeysStore.make(pins, PeerKeysStore.DEFAULT_LIMITS, remains.chains).pipe(
    Effect.provide(crypto)
  )
  const events: Array<ProtocolEvent> = []
  const report = (event: ProtocolEvent) => void events.push(event)
  const services = crypto.pipe(
    Context.add(Node, node.service),
    Context.add(RegistryClient, registry.client(id)),
    Context.add(PeerKeys, keys)
  )
  const store = remains.store ?? TrustStore.memory()
  const { openServices } = remains
  const running = yield* TrustSupervisor.start({ identity, store, report }).pipe(
    Effect.provideService(ServiceOpener, openServices),
    Effect.provide(services)
  )
  yield* Effect.yieldNow
  return { id: Address.NodeId(id), identity, node, keys, events, ...running }
})

/** What the station reports of what its person allows beforehand. */
export const admissionChanges = ({ events }: Station) =>
  events.flatMap((event) => {
    if (event._tag !== "AdmissionChanged") return []
    const { _tag: _, ...change } = event
    return [change]
  })

/** Lets `steps` tenths of a second pass one by one, so that chains of messages between fibers have their turns. */
export const pass = (steps: number): Effect.Effect<void> =>
  Effect.repeat(TestClock.adjust("100 millis"), { times: steps - 1 }).pipe(Effect.asVoid)

/** Pins that outlive a station. */
export const memoryPins = (): PeerKeysStore.PinStore => {
  let saved: Effect.Success<PeerKeysStore.PinStore["load"]> = {
    nodes: new Map(),
    names: new Map(),
    laterOnly: new Set()
  }
  return {
    load: Effect.sync(() => saved),
    save: (table) =>
      Effect.sync(() => {
        saved = table
      })
  }
}

/** Chains that outlive a station. */
export const memoryChains = (): PeerChains.ChainStore<never> => {
  let saved: Effect.Success<PeerChains.ChainStore<never>["load"]> = new Map()
  return {
    load: Effect.sync(() => saved),
    save: (histories) =>
      Effect.sync(() => {
        saved = new Map(histories)
      })
  }
}

/** A message as an honest `sender` writes it to `receiver`, with changes. */
export const message = (
  sender: { readonly id: number; readonly identity: SigningKey },
  receiver: number,
  changes: Partial<HandshakeMessage.HandshakeMessage> = {}
): HandshakeMessage.HandshakeMessage => {
  const id = Address.NodeId(sender.id)
  const text = HandshakeMessage.signedText(id, Address.NodeId(receiver))
  return {
    kind: "request",
    node: id,
    publicKey: sender.identity.publicKey,
    justification: "",
    signature: sender.identity.sign(Bytes.fromUtf8(text)),
    reason: "",
    unixSeconds: 0,
    ...changes
  }
}
