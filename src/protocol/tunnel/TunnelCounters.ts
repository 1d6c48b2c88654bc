/** What became of a tunnel's frames and packets, for operators and tests. */

/** Plain numbers, because they change per frame. */
export interface TunnelCounters {
  sealed: number
  opened: number
  /** Sealed frames dropped: no keys at all. */
  noKeys: number
  /** Counter 0, or beyond what any honest peer reaches. */
  badCounter: number
  /** Opened under no key in use. */
  badTag: number
  /** Opened only in the earlier generation, which the peer has left for ever; looked for once a second. */
  downgraded: number
  /** Our own frame, sent back at us. */
  reflected: number
  /** Seen before, or too old to tell. */
  replayed: number
  /** From another node than the one whose keys opened it. */
  foreignSource: number
  /** Key frames not looked at, because their source sends too many. */
  limited: number
  /** Key exchanges that said nothing new. */
  repeated: number
  /** Key exchanges that have to wait for a new key of our own. */
  postponed: number
  /** Packets refused, because too many wait for keys. */
  refused: number
  /** Packets that waited for keys in vain. */
  expired: number
}

/** All zero. */
export const make = (): TunnelCounters => ({
  sealed: 0,
  opened: 0,
  noKeys: 0,
  badCounter: 0,
  badTag: 0,
  downgraded: 0,
  reflected: 0,
  replayed: 0,
  foreignSource: 0,
  limited: 0,
  repeated: 0,
  postponed: 0,
  refused: 0,
  expired: 0
})
