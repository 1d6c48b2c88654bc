/** Beacons that announce themselves to the registry (rendezvous §4.15): memory only, each valid for a minute. */

/** Announced beacons by id. Mutable; owned by `Registry`. */
export interface BeaconList {
  readonly beacons: Map<number, { readonly address: string; readonly seenAtMs: number }>
}

/** No beacons. */
export const make = (): BeaconList => ({ beacons: new Map() })

/** Adds or refreshes a beacon; false when the list is full. */
export const announce = (self: BeaconList, id: number, address: string, nowMs: number): boolean => {
  if (!self.beacons.has(id) && self.beacons.size >= BEACONS_MAX) return false
  self.beacons.set(id, { address, seenAtMs: nowMs })
  return true
}

/** The beacons seen within the last minute, by id. */
export const live = (
  self: BeaconList,
  nowMs: number
): ReadonlyArray<{ readonly id: number; readonly address: string }> =>
  [...self.beacons]
    .filter(([, { seenAtMs }]) => nowMs - seenAtMs <= BEACON_LIFE_MS)
    .map(([id, { address }]) => ({ id, address }))
    .sort((a, b) => a.id - b.id)

/** Forgets silent beacons. */
export const sweep = (self: BeaconList, nowMs: number): void => {
  for (const [id, { seenAtMs }] of self.beacons) if (nowMs - seenAtMs > BEACON_LIFE_MS) self.beacons.delete(id)
}

const BEACON_LIFE_MS = 60_000
/** Far above any real cluster; keeps strangers from filling memory where no admin token guards the list. */
const BEACONS_MAX = 1000
