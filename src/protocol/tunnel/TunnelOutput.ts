/** What a tunnel asks of its owner. */
import { type Pieces, readU64 } from "../../core/data/Bytes.ts"
import type { Endpoint } from "../../core/data/Endpoint.ts"
import type { Sealed } from "../wire/TunnelFrame.ts"
import type { Scheme } from "./KeyDerivation.ts"

/** Where a frame came from, or is to go. */
export interface Path {
  readonly endpoint: Endpoint | undefined
  readonly relayed: boolean
}

/** Collects what the owner must do; emptied after each call. */
export class Outputs {
  #list: Array<Output> = []
  #replayedAtMs = Number.NEGATIVE_INFINITY

  push(output: Output): void {
    this.#list.push(output)
  }

  /** A genuine frame came again. Networks repeat datagrams too, so one in a while is told. */
  replayed({ nonce }: Sealed, nowMs: number): void {
    if (nowMs - this.#replayedAtMs < REPLAY_INTERVAL_MS) return
    this.#replayedAtMs = nowMs
    this.#list.push({ _tag: "Replayed", counter: readU64(nonce, PREFIX_BYTES) ?? 0 })
  }

  /** In order; empties the list. */
  drain(): ReadonlyArray<Output> {
    if (this.#list.length === 0) return NOTHING
    const list = this.#list
    this.#list = []
    return list
  }
}

/** What the owner must do, in this order. A `path` of `undefined` means the best one it knows. */
export type Output =
  | { readonly _tag: "Transmit"; readonly frame: Pieces; readonly path: Path | undefined }
  /**
   * Send our PILA: twice where the loss of one would cost a time-out, since the peer answers both; and, if asked for, a
   * PILK right after it, as a request for the peer's (wire §6.4, better b).
   */
  | {
      readonly _tag: "SendKeyExchange"
      readonly path: Path | undefined
      readonly isTwice: boolean
      readonly withKeyRequest: boolean
    }
  /** Make a new X25519 key for this tunnel, then call `agreementKeyRenewed`. */
  | { readonly _tag: "RenewAgreementKey" }
  /** A frame has opened under new keys, or for the first time in this generation; remember `laterOnly`. */
  | { readonly _tag: "Established"; readonly scheme: Scheme; readonly path: Path }
  /** The packet that opened just now is the first of a new life of the peer: it has nothing of the old one any more. */
  | { readonly _tag: "PeerRestarted" }
  /** A frame of the earlier generation opened, which this identity has left for ever (security rule 5); it was dropped. */
  | { readonly _tag: "Downgraded" }
  /** A genuine frame came again, or too late to tell, and was dropped; said once a second at most. */
  | { readonly _tag: "Replayed"; readonly counter: number }
  /** The peer seems to have lost our keys; they stay in use until it has proven new ones. */
  | { readonly _tag: "Desynchronised" }

/** Of a nonce, before its counter (wire §6.6). */
const PREFIX_BYTES = 4
/** Between reports of replayed frames. */
const REPLAY_INTERVAL_MS = 1000
const NOTHING: ReadonlyArray<Output> = []
