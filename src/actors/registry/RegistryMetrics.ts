/** Counts of what a registry served (rendezvous §6), as plain numbers: they change with every request. */

/** Why the bytes of a connection are no requests: a length above the limit, or a body that is no JSON object. */
export type BadInput = "FrameTooLong" | "NotAnObject"

/** Everything counted since the start. Mutable; owned by the server actor. */
export interface RegistryMetrics {
  /** Requests that decoded, replication aside. */
  totalRequests: number
  /** Nodes that left by request; leaving twice counts once. */
  deregistrations: number
  /** Connections ended because of what came over them. */
  readonly malformed: Record<BadInput, number>
  readonly byKind: Map<string, KindMetrics>
}

/** One kind of request. */
export interface KindMetrics {
  requests: number
  errors: number
  durationSumSeconds: number
  /** Requests that took at most `DURATION_BOUNDS_SECONDS[i]`, not counted in an earlier slot; the last slot has no bound. */
  readonly durationCounts: Array<number>
}

/** Nothing served. */
export const make = (): RegistryMetrics => ({
  totalRequests: 0,
  deregistrations: 0,
  malformed: { FrameTooLong: 0, NotAnObject: 0 },
  byKind: new Map()
})

/** Counts one served request. `kind` comes from a closed list, so the map is bounded. */
export const record = (self: RegistryMetrics, kind: string, isError: boolean, durationMs: number): void => {
  if (kind !== "subscribe_replication") self.totalRequests++
  const metrics = self.byKind.get(kind) ?? makeKind()
  self.byKind.set(kind, metrics)
  metrics.requests++
  if (isError) metrics.errors++
  const seconds = durationMs / 1000
  metrics.durationSumSeconds += seconds
  const slot = DURATION_BOUNDS_SECONDS.findIndex((bound) => seconds <= bound)
  const index = slot < 0 ? DURATION_BOUNDS_SECONDS.length : slot
  metrics.durationCounts[index] = (metrics.durationCounts[index] ?? 0) + 1
}

/** Requests of one kind that succeeded. */
export const succeeded = (self: RegistryMetrics, kind: string): number => {
  const metrics = self.byKind.get(kind)
  return metrics === undefined ? 0 : metrics.requests - metrics.errors
}

const makeKind = (): KindMetrics => ({
  requests: 0,
  errors: 0,
  durationSumSeconds: 0,
  durationCounts: new Array<number>(DURATION_BOUNDS_SECONDS.length + 1).fill(0)
})

/** The bounds of the reference's histogram (rendezvous §6). */
export const DURATION_BOUNDS_SECONDS: ReadonlyArray<number> = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1
]
