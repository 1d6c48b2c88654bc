/** Congestion controllers by their name in the configuration. */
import { Bbr } from "./Bbr.ts"
import type { CongestionController, CongestionSizes } from "./CongestionController.ts"
import { Cubic } from "./Cubic.ts"
import { NewReno } from "./NewReno.ts"
import type { StreamConfig } from "./StreamConfig.ts"

/** A new one. */
export const make = (name: StreamConfig["congestionControl"], sizes: CongestionSizes): CongestionController => {
  if (name === "Bbr") return new Bbr(sizes)
  return name === "Cubic" ? new Cubic(sizes) : new NewReno(sizes)
}
