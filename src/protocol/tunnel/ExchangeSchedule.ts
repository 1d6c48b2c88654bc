/**
 * When to repeat an unanswered key exchange (wire §6.4, better a): six in a round, 4 s apart, then a pause of 5 s, and
 * another round only if somebody has asked again meanwhile. The very first is repeated after a second besides: somebody waits,
 * and a path that has lost it is likelier than a peer that is away.
 */

/** A running schedule; none is `undefined`. */
export interface ExchangeSchedule {
  /** Key exchanges sent since the beginning, over all rounds. */
  readonly sent: number
  readonly sentInRound: number
  readonly dueAtMs: number
  readonly isWantedAgain: boolean
}

/** What to do at the deadline. */
export type Due =
  | { readonly _tag: "Wait" }
  | { readonly _tag: "Repeat"; readonly schedule: ExchangeSchedule }
  | { readonly _tag: "GiveUp" }

/** The first key exchange has just been sent. */
export const begin = (nowMs: number): ExchangeSchedule => ({
  sent: 1,
  sentInRound: 0,
  dueAtMs: nowMs + FIRST_REPEAT_MS,
  isWantedAgain: false
})

/** Somebody still wants the session: there will be another round. Asking before the first repeat says nothing new. */
export const wantAgain = (self: ExchangeSchedule): ExchangeSchedule =>
  self.isWantedAgain || self.sentInRound === 0 ? self : { ...self, isWantedAgain: true }

/** Total: before the deadline there is nothing to do. */
export const due = (self: ExchangeSchedule, nowMs: number): Due => {
  if (nowMs < self.dueAtMs) return WAIT
  const isNewRound = self.sentInRound === ROUND
  if (isNewRound && !self.isWantedAgain) return GIVE_UP
  const sentInRound = isNewRound ? 1 : self.sentInRound + 1
  const elapsedMs = self.sentInRound === 0 ? FIRST_REPEAT_MS : 0
  const schedule = {
    sent: self.sent + 1,
    sentInRound,
    dueAtMs: nowMs + (sentInRound === ROUND ? PAUSE_MS : REPEAT_MS - elapsedMs),
    isWantedAgain: isNewRound ? false : self.isWantedAgain
  }
  return { _tag: "Repeat", schedule }
}

const WAIT: Due = { _tag: "Wait" }
const GIVE_UP: Due = { _tag: "GiveUp" }
const FIRST_REPEAT_MS = 1000
const REPEAT_MS = 4000
const PAUSE_MS = 5000
/** One key exchange and five repeats. */
const ROUND = 6
