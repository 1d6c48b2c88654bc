/** What a node chooses for all its tunnels. */
import { Capability } from "../wire/Announcement.ts"
import { HEADER_BYTES } from "../wire/Packet.ts"
import type { Scheme } from "./KeyDerivation.ts"

/** Our own choices; `defaultConfig` has the reasons. */
export interface TunnelConfig {
  /** The generation to speak to a peer that has not shown its own. */
  readonly preferredScheme: Scheme
  readonly pendingPacketsMax: number
  readonly pendingBytesMax: number
  readonly keyLifetimeFrames: number
  readonly keyLifetimeMs: number
  /** Bits of `Announcement.Capability` that this node has. */
  readonly capabilities: number
}

/** Limits of the later reference (wire §15.2) and the key lifetime of wire §6.1. */
export const defaultConfig: TunnelConfig = {
  preferredScheme: "later",
  pendingPacketsMax: 64,
  // 64 segments of the largest size that the reference sends (wire §8), headers included.
  pendingBytesMax: 64 * (4096 + HEADER_BYTES),
  keyLifetimeFrames: 2 ** 32,
  keyLifetimeMs: 86_400_000,
  capabilities:
    Capability.HalfClose | Capability.ResetReason | Capability.Recut | Capability.PathProbe | Capability.Birthday
}

/** The same without what these bits stand for. */
export const without = (capabilities: number): TunnelConfig => ({
  ...defaultConfig,
  capabilities: defaultConfig.capabilities & ~capabilities
})
