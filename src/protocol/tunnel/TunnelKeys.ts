/**
 * The keys of one X25519 agreement with one peer, in both generations, and everything that must live exactly as long
 * as they do: nonce prefixes and counter of what is sealed, replay windows of what is opened. Nonces are never reused
 * because the counter never goes back while the keys exist (wire §6.1, security rule 5).
 */
import * as Bytes from "../../core/data/Bytes.ts"
import type { NodeId } from "../wire/Address.ts"
import * as TunnelFrame from "../wire/TunnelFrame.ts"
import { type Scheme, tunnelAdditionalData } from "./KeyDerivation.ts"
import { ReplayWindows } from "./ReplayWindow.ts"

/** What is needed of AES-256-GCM; the `Aead` of `core/crypto` is one. */
export interface Aead {
  /** `header`, ciphertext, tag. */
  readonly sealAfter: (
    header: Uint8Array,
    nonce: Uint8Array,
    plaintext: Uint8Array,
    additionalData?: Uint8Array
  ) => Uint8Array
  /** The same in pieces, each following the one before. */
  readonly sealPieces: (
    header: Uint8Array,
    nonce: Uint8Array,
    plaintext: ReadonlyArray<Uint8Array>,
    additionalData?: Uint8Array
  ) => ReadonlyArray<Uint8Array>
  readonly open: (nonce: Uint8Array, sealed: Uint8Array, additionalData?: Uint8Array) => Uint8Array | undefined
}

/** A key exchange whose signature holds under the key this peer must show. */
export interface VerifiedExchange {
  /** The peer's X25519 public key. */
  readonly agreementKey: Uint8Array
  /** Of `KeyDerivation.tunnelKeys`, with our own key as it is now. */
  readonly legacy: Aead
  readonly later: Aead
  /** 8 random bytes: a nonce prefix for `legacy`, then one for `later`. */
  readonly randomPrefixes: Uint8Array
  /** The later generation has opened for this identity before, in whatever life of ours (security rule 5). */
  readonly laterOnly: boolean
}

/** One agreement, and how it may be used. */
export interface Agreement extends Omit<VerifiedExchange, "laterOnly"> {
  readonly self: NodeId
  readonly peer: NodeId
  /** Frames that may be sealed under these keys. */
  readonly lifetimeFrames: number
}

/** Mutable: the hot state of sealing and opening, inside the one tunnel that owns it. */
export class TunnelKeys {
  readonly peerKey: Uint8Array
  /** The generation in which a frame of the peer last opened under these keys. */
  scheme: Scheme | undefined
  /** When the last frame opened; minus infinity before the first. */
  lastOpenedAtMs = Number.NEGATIVE_INFINITY
  /** True once a frame has opened under these keys while they were a candidate. */
  isConfirmed = false
  #sealedFrames = 0
  readonly #lifetimeFrames: number
  readonly #halves: Readonly<Record<Scheme, Half>>

  constructor(agreement: Agreement) {
    this.peerKey = Bytes.copy(agreement.agreementKey)
    this.#lifetimeFrames = agreement.lifetimeFrames
    this.#halves = { legacy: makeHalf("legacy", agreement), later: makeHalf("later", agreement) }
  }

  /** True when it is time to agree on new keys, with an eighth of the lifetime left for it. */
  get isWorn(): boolean {
    return this.#sealedFrames >= this.#lifetimeFrames * WORN
  }

  /** True when nothing more may be sealed. */
  get isExhausted(): boolean {
    return this.#sealedFrames >= this.#lifetimeFrames
  }

  /** A whole frame, or `undefined` once the keys are exhausted. Both generations share the counter, not the prefix. */
  seal(scheme: Scheme, packet: Uint8Array): Uint8Array | undefined
  seal(scheme: Scheme, packet: Bytes.Pieces): Bytes.Pieces | undefined
  seal(scheme: Scheme, packet: Bytes.Pieces): Bytes.Pieces | undefined {
    if (this.isExhausted) return undefined
    this.#sealedFrames += 1
    const { aead, header, nonce, sealData } = this.#halves[scheme]
    Bytes.writeU64(nonce, PREFIX_BYTES, this.#sealedFrames)
    return packet instanceof Uint8Array
      ? aead.sealAfter(header, nonce, packet, sealData)
      : aead.sealPieces(header, nonce, packet, sealData)
  }

  /** The packet, if the tag is right. Changes nothing: replayed or reflected frames pass, judge them next. */
  decrypt(scheme: Scheme, frame: TunnelFrame.Sealed): Uint8Array | undefined {
    const { aead, openData } = this.#halves[scheme]
    return aead.open(frame.nonce, frame.sealed, openData)
  }

  /** Records the counter of a decrypted frame; false for a replay. */
  accept(scheme: Scheme, prefix: number, counter: number): boolean {
    return this.#halves[scheme].windows.accept(prefix, counter)
  }

  /** True if a frame of the peer has opened under this prefix. */
  hasOpenedUnder(prefix: number): boolean {
    return this.#halves.later.windows.has(prefix) || this.#halves.legacy.windows.has(prefix)
  }

  /** True for a prefix of ours: the frame is our own, sent back at us. */
  hasPrefix(prefix: number): boolean {
    return this.#halves.later.prefix === prefix || this.#halves.legacy.prefix === prefix
  }
}

/** One generation. `nonce` is a view into `header`, whose counter is the only part that changes. */
interface Half {
  readonly aead: Aead
  readonly header: Uint8Array
  readonly nonce: Uint8Array
  readonly prefix: number
  readonly sealData: Uint8Array | undefined
  readonly openData: Uint8Array | undefined
  readonly windows: ReplayWindows
}

const makeHalf = (scheme: Scheme, agreement: Agreement): Half => {
  const { self, peer, randomPrefixes } = agreement
  const nonce = new Uint8Array(TunnelFrame.NONCE_BYTES)
  nonce.set(randomPrefixes.subarray(PREFIX_OFFSET[scheme], PREFIX_OFFSET[scheme] + PREFIX_BYTES))
  // Both directions share one key: the top bit keeps our prefixes apart from the peer's (security rule 5).
  nonce[0] = self < peer ? nonce[0]! & 0x7f : nonce[0]! | 0x80
  const header = new Uint8Array(TunnelFrame.SEALED_HEADER_BYTES)
  TunnelFrame.encodeSealedHeader(self, nonce, header, 0)
  return {
    aead: agreement[scheme],
    header,
    nonce: header.subarray(header.length - nonce.length),
    prefix: Bytes.readU32(nonce, 0),
    sealData: tunnelAdditionalData(scheme, self),
    openData: tunnelAdditionalData(scheme, peer),
    windows: new ReplayWindows()
  }
}

const PREFIX_BYTES = 4
const PREFIX_OFFSET = { legacy: 0, later: PREFIX_BYTES } as const
const WORN = 7 / 8
