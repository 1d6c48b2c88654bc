/**
 * A tunnel with its owner, for tests: verifies key exchanges, agrees, derives, answers pings, and records what the
 * tunnel asked for. Keys come from a seed, so that a failure repeats.
 */
import { Result } from "effect"
import type { AgreementKey, SigningKey } from "../../src/core/crypto/Crypto.ts"
import { crypto } from "../../src/core/crypto/NativeCrypto.ts"
import * as Bytes from "../../src/core/data/Bytes.ts"
import * as KeyDerivation from "../../src/protocol/tunnel/KeyDerivation.ts"
import { Tunnel } from "../../src/protocol/tunnel/Tunnel.ts"
import { defaultConfig, type TunnelConfig } from "../../src/protocol/tunnel/TunnelConfig.ts"
import type { Aead } from "../../src/protocol/tunnel/TunnelKeys.ts"
import type { Output, Path } from "../../src/protocol/tunnel/TunnelOutput.ts"
import * as Address from "../../src/protocol/wire/Address.ts"
import * as ControlMessage from "../../src/protocol/wire/ControlMessage.ts"
import * as Packet from "../../src/protocol/wire/Packet.ts"
import * as TunnelFrame from "../../src/protocol/wire/TunnelFrame.ts"

/** A direct path. */
export const direct = (host: string): Path => ({ endpoint: { host, port: 4000 }, relayed: false })
/** Through the relay. */
export const relay: Path = { endpoint: undefined, relayed: true }

/** A frame on its way. */
export interface Sent {
  readonly bytes: Uint8Array
  readonly path: Path | undefined
}

/** What a station may be. */
export interface Options {
  readonly node: number
  readonly peer: number
  readonly config?: Partial<TunnelConfig>
  readonly laterOnly?: boolean
  /** Speaks this generation only, as every reference does. */
  readonly only?: KeyDerivation.Scheme
  /** Pings are left unanswered, as private nodes leave those of strangers. */
  readonly isSilent?: boolean
}

/** One side of a tunnel. */
export class Station {
  readonly options: Options
  readonly identity: SigningKey
  readonly delivered: Array<string> = []
  /** Outputs that are no frames, in order. */
  events: Array<Output["_tag"]> = []
  outbox: Array<Sent> = []
  outputsMax = 0
  tunnel: Tunnel
  agreement: AgreementKey
  readonly #nonces: Set<string>
  #keysMade = 0

  constructor(options: Options, nonces: Set<string> = new Set()) {
    this.options = options
    this.#nonces = nonces
    this.identity = crypto.signingKey(identitySeed(options.node))
    this.agreement = this.#newKey()
    this.tunnel = this.#newTunnel()
  }

  /** Forgets everything but the identity. */
  restart(): void {
    this.agreement = this.#newKey()
    this.tunnel = this.#newTunnel()
    this.outbox = []
  }

  /** A new key of our own, as the owner makes one after `RenewAgreementKey`. */
  renew(nowMs: number): void {
    this.agreement = this.#newKey()
    this.tunnel.agreementKeyRenewed(nowMs)
  }

  /** Sends text in a datagram packet. */
  send(text: string, nowMs: number): boolean {
    const accepted = this.tunnel.send(this.packet(text), nowMs)
    this.flush(nowMs)
    return accepted
  }

  /** A datagram packet from this node to its peer. */
  packet(text: string): Uint8Array {
    return Packet.encode({
      flags: 0,
      protocol: Packet.Protocol.Datagram,
      source: Address.make(0, this.options.node),
      destination: Address.make(0, this.options.peer),
      sourcePort: Address.Port(50_000),
      destinationPort: Address.Port(9),
      sequence: 0,
      acknowledgement: 0,
      window: 0,
      payload: Bytes.fromUtf8(text)
    })
  }

  /** Performs what is due. */
  timeout(nowMs: number): void {
    this.tunnel.timeout(nowMs)
    this.flush(nowMs)
  }

  /** One datagram arrives. */
  receive(bytes: Uint8Array, path: Path, nowMs: number): void {
    const frame = Result.getOrUndefined(TunnelFrame.decode(bytes))
    if (frame?._tag === "KeyRequest") this.tunnel.keyRequestReceived(path, nowMs)
    else if (frame?._tag === "KeyExchange") this.#exchange(frame, path, nowMs)
    else if (frame?._tag === "Sealed") this.#open(frame, path, nowMs)
    this.flush(nowMs)
  }

  /** Performs the outputs. */
  flush(nowMs: number): void {
    const outputs = this.tunnel.drain()
    this.outputsMax = Math.max(this.outputsMax, outputs.length)
    for (const output of outputs) {
      if (output._tag === "Transmit") this.outbox.push({ bytes: Bytes.join(output.frame), path: output.path })
      else this.events.push(output._tag)
      if (output._tag === "SendKeyExchange") {
        for (let copy = 0; copy < (output.isTwice ? 2 : 1); copy++)
          this.outbox.push({ bytes: this.keyExchange(), path: output.path })
        if (output.withKeyRequest) this.outbox.push({ bytes: this.keyRequest(), path: output.path })
      } else if (output._tag === "RenewAgreementKey") this.renew(nowMs)
    }
    if (outputs.length > 0) this.flush(nowMs)
  }

  /** Takes what is waiting to go out. */
  take(): Array<Sent> {
    const sent = this.outbox
    this.outbox = []
    return sent
  }

  /** Takes the events so far. */
  takeEvents(): Array<Output["_tag"]> {
    const { events } = this
    this.events = []
    return events
  }

  /** Our PILA. */
  keyExchange(): Uint8Array {
    const { identity } = this
    const sender = Address.NodeId(this.options.node)
    const agreementKey = this.agreement.publicKey
    const signature = identity.sign(TunnelFrame.signedText(sender, agreementKey))
    return TunnelFrame.encodeKeyExchange({ sender, agreementKey, identityKey: identity.publicKey, signature })
  }

  /** Our PILK. */
  keyRequest(): Uint8Array {
    const sender = Address.NodeId(this.options.node)
    return TunnelFrame.encodeKeyRequest({ sender, agreementKey: this.agreement.publicKey })
  }

  /** A frame of this node as anybody with the shared secret would seal it, under any prefix and counter. */
  sealBySelf(
    shared: Uint8Array,
    prefix: number,
    counter: number,
    packet: Uint8Array,
    scheme: KeyDerivation.Scheme = "later"
  ): Uint8Array {
    const sender = Address.NodeId(this.options.node)
    const nonce = new Uint8Array(TunnelFrame.NONCE_BYTES)
    Bytes.writeU32(nonce, 0, prefix)
    Bytes.writeU64(nonce, 4, counter)
    const aead = crypto.aes256Gcm(KeyDerivation.tunnelKeys(shared, crypto)[scheme])
    const data = KeyDerivation.tunnelAdditionalData(scheme, sender)
    return TunnelFrame.encodeSealed(sender, nonce, aead.seal(nonce, packet, data))
  }

  #exchange(frame: TunnelFrame.KeyExchange, path: Path, nowMs: number): void {
    if (this.tunnel.keyExchangeReceived(frame, path, nowMs) === "ignore") return
    const expected = crypto.signingKey(identitySeed(this.options.peer)).publicKey
    const signed = TunnelFrame.signedText(frame.sender, frame.agreementKey)
    if (!Bytes.equals(expected, frame.identityKey) || !crypto.verify(expected, signed, frame.signature)) return
    const shared = this.agreement.agree(frame.agreementKey)
    if (shared === undefined) return
    const keys = KeyDerivation.tunnelKeys(shared, crypto)
    const { agreementKey } = frame
    const randomPrefixes = crypto.sha256(Bytes.concat(shared, this.agreement.publicKey)).subarray(0, 8)
    const legacy = this.#aead("legacy", keys.legacy)
    const later = this.#aead("later", keys.later)
    const { laterOnly = false } = this.options
    this.tunnel.keyExchangeVerified({ agreementKey, legacy, later, randomPrefixes, laterOnly }, path, nowMs)
  }

  #open(frame: TunnelFrame.Sealed, path: Path, nowMs: number): void {
    const bytes = this.tunnel.open(frame, path, nowMs)
    if (bytes === undefined) return
    const packet = Result.getOrUndefined(Packet.decode(bytes))
    if (packet === undefined) return
    if (packet.protocol === Packet.Protocol.Datagram) this.delivered.push(Bytes.toUtf8(packet.payload) ?? "")
    if (packet.protocol !== Packet.Protocol.Control) return
    if (this.options.only === undefined && this.tunnel.controlReceived(packet, nowMs)) return
    const pong = this.options.isSilent ? undefined : ControlMessage.pong(packet, Address.make(0, this.options.node))
    if (pong !== undefined) this.tunnel.send(Packet.encode(pong), nowMs)
  }

  /** Fails the test when a nonce is used twice, and plays a peer that knows one generation only. */
  #aead(scheme: KeyDerivation.Scheme, key: Uint8Array): Aead {
    const isSpoken = this.options.only === undefined || this.options.only === scheme
    const aead = crypto.aes256Gcm(isSpoken ? key : crypto.sha256(key))
    const once = (nonce: Uint8Array) => {
      const use = `${Bytes.toHex(key)} ${Bytes.toHex(nonce)}`
      if (this.#nonces.has(use)) throw new Error(`nonce used twice: ${use}`)
      this.#nonces.add(use)
    }
    return {
      open: (nonce, sealed, data) => (isSpoken ? aead.open(nonce, sealed, data) : undefined),
      sealAfter: (header, nonce, packet, data) => {
        once(nonce)
        return aead.sealAfter(header, nonce, this.#asSpoken(packet), data)
      },
      sealPieces: (header, nonce, packet, data) => {
        once(nonce)
        return aead.sealPieces(header, nonce, packet, data)
      }
    }
  }

  /** A reference knows no announcement (wire §17); it says something else that wants no answer. */
  #asSpoken(packet: Uint8Array): Uint8Array {
    const decoded = Result.getOrUndefined(Packet.decode(packet))
    const isAnnouncement = decoded !== undefined && ControlMessage.classify(decoded)._tag === "Announced"
    const isReference = this.options.only !== undefined
    return isReference && isAnnouncement
      ? Packet.encode(ControlMessage.keepalive(Address.make(0, this.options.node)))
      : packet
  }

  #newKey(): AgreementKey {
    this.#keysMade += 1
    return crypto.agreementKey(crypto.sha256(Bytes.fromUtf8(`agreement ${this.options.node} ${this.#keysMade}`)))
  }

  #newTunnel(): Tunnel {
    const { node, peer, config, only } = this.options
    return new Tunnel({
      self: Address.NodeId(node),
      peer: Address.NodeId(peer),
      config: { ...defaultConfig, ...(only === undefined ? {} : { preferredScheme: only }), ...config }
    })
  }
}

/** Carries frames between two stations until neither has any left; returns how many. */
export const settle = (a: Station, b: Station, nowMs: number): number => {
  let carried = 0
  for (let turn = 0; turn < 50; turn++) {
    const fromA = a.take()
    const fromB = b.take()
    if (fromA.length + fromB.length === 0) return carried
    carried += fromA.length + fromB.length
    for (const { bytes } of fromA) b.receive(bytes, pathOf(a), nowMs)
    for (const { bytes } of fromB) a.receive(bytes, pathOf(b), nowMs)
  }
  throw new Error("the stations never fall silent")
}

/** Where a station's frames come from. */
export const pathOf = (station: Station): Path => direct(`10.0.0.${station.options.node}`)

/** Two stations with a session between them. */
export const established = (
  optionsA: Partial<Options> = {},
  optionsB: Partial<Options> = {},
  nowMs = 0
): readonly [Station, Station] => {
  const nonces = new Set<string>()
  const a = new Station({ node: 1, peer: 2, ...optionsA }, nonces)
  const b = new Station({ node: 2, peer: 1, ...optionsB }, nonces)
  a.tunnel.connect(nowMs)
  a.flush(nowMs)
  settle(a, b, nowMs)
  a.takeEvents()
  b.takeEvents()
  return [a, b]
}

const identitySeed = (node: number): Uint8Array => crypto.sha256(Bytes.fromUtf8(`identity ${node}`))
