/**
 * Opens one sealed frame (wire §6.6): cheap checks, then every key in use in every generation the peer may speak, then
 * what only a genuine frame is judged by. Of all this only the replay window of a genuine frame changes.
 */
import * as Bytes from "../../core/data/Bytes.ts"
import type { NodeId } from "../wire/Address.ts"
import type * as TunnelFrame from "../wire/TunnelFrame.ts"
import type { Scheme } from "./KeyDerivation.ts"
import * as PacketSource from "./PacketSource.ts"
import type { TunnelKeys } from "./TunnelKeys.ts"

/** A genuine, fresh frame of the peer. */
export interface Opened {
  readonly keys: TunnelKeys
  readonly scheme: Scheme
  /** Of the nonce. */
  readonly prefix: number
  readonly packet: Uint8Array
}

/** Why a frame is dropped, as it is counted. */
export type Refusal = "foreignSource" | "badCounter" | "reflected" | "replayed" | "badTag"

/** The packet with what opened it, or why there is none. */
export const open = (
  frame: TunnelFrame.Sealed,
  peer: NodeId,
  inUse: ReadonlyArray<TunnelKeys>,
  schemes: ReadonlyArray<Scheme>
): Opened | Refusal => {
  const prefix = Bytes.readU32(frame.nonce, 0)
  const counter = Bytes.readU64(frame.nonce, PREFIX_BYTES) ?? 0
  if (frame.sender !== peer) return "foreignSource"
  if (counter === 0) return "badCounter"
  for (const keys of inUse) {
    if (keys.hasPrefix(prefix)) return "reflected"
    for (const scheme of schemes) {
      const packet = keys.decrypt(scheme, frame)
      if (packet === undefined) continue
      // Judged only now: nothing that could have been forged may move a window or promote a candidate.
      if (!PacketSource.isFrom(packet, peer)) return "foreignSource"
      return keys.accept(scheme, prefix, counter) ? { keys, scheme, prefix, packet } : "replayed"
    }
  }
  return "badTag"
}

const PREFIX_BYTES = 4
