/**
 * Which way a peer's frames go (architecture, decision 9): the relay carries data as soon as keys agree, a direct path
 * takes over when a frame has opened on it, and gives way again when it falls silent while frames are sent on it.
 *
 * A path is *proven* once an authenticated, fresh frame came by it. Towards an unproven one at most three times what
 * it sent may go, counted with IP and UDP headers (security rule 7, after RFC 9000 §8.1), so a forged source address
 * or a lying registry entry cannot aim our data at a third party.
 *
 * Mutable, because it is consulted per frame; owned by one `TunnelActor`.
 */
import * as Path from "./Path.ts"
import * as PathCandidate from "./PathCandidate.ts"
import { book, type Candidate, isProven, type Opened } from "./PathCandidate.ts"
import { PathFlow } from "./PathFlow.ts"
import * as PathMeasures from "./PathMeasures.ts"
import * as PathRanking from "./PathRanking.ts"
import type * as PathReport from "./PathReport.ts"

/** `silenceMs`: how long a path may leave frames unanswered before another is preferred. */
export interface PathConfig {
  readonly silenceMs: number
  /** Pauses between two trials of a direct path while the relay carries data; the last one is kept up. */
  readonly probePausesMs: ReadonlyArray<number>
}

/**
 * Our own choice: under the second that a stream may pause when its path dies; a few trials while both ends open their
 * translators, then patiently, for one that comes back.
 */
export const defaults: PathConfig = { silenceMs: 700, probePausesMs: [60, 140, 300, 1_000, 2_000, 5_000, 15_000] }

/** The paths of one peer. */
export class PathSelector {
  readonly #leads: boolean
  readonly #config: PathConfig
  #candidates: Array<Candidate> = []
  #spentAtMs = Number.NEGATIVE_INFINITY
  #current: Candidate | undefined
  #heardAtMs = Number.NEGATIVE_INFINITY
  #askedAtMs = Number.NEGATIVE_INFINITY
  #movedAtMs = Number.NEGATIVE_INFINITY
  readonly #flow = new PathFlow()

  /**
   * `leads`: the other end follows this one from one direct path to another. Exactly one end does, lest both change to the
   * path that the other one leaves.
   */
  constructor(leads = false, config: PathConfig = defaults) {
    this.#leads = leads
    this.#config = config
  }

  /** The path in use, as last selected. */
  get current(): Path.Path | undefined {
    return this.#current?.path
  }

  /** The same if an authenticated frame has come by it. */
  get proven(): Path.Path | undefined {
    return this.#current !== undefined && isProven(this.#current) ? this.#current.path : undefined
  }

  /** True once an authenticated frame has come by any path. */
  get hasProven(): boolean {
    return this.#candidates.some((candidate) => candidate.openedAtMs > Number.NEGATIVE_INFINITY)
  }

  /** Adds a path worth trying: from the registry or from the beacon. False if it was learned before. */
  learn(path: Path.Path): boolean {
    const candidate = this.#candidate(path)
    const isNew = !candidate.isLearned
    candidate.isLearned = true
    return isNew
  }

  /** Credits a datagram that came by the path, authenticated or not. */
  received(path: Path.Path, payloadBytes: number, nowMs: number): void {
    const candidate = this.#candidate(path)
    candidate.receivedBytes += payloadBytes + candidate.headersBytes
    this.#heardAtMs = nowMs
  }

  /**
   * True when frames go unanswered and nothing at all comes back. A peer that is up but does not speak to us still answers
   * key requests; only good for telling people, since anybody can forge it.
   */
  isAway(nowMs: number): boolean {
    return this.isSilent(nowMs) && nowMs - this.#heardAtMs > AWAY_MS
  }

  /** A frame that came by the path opened and was no replay. */
  opened(path: Path.Path, nowMs: number, opened: Opened = "Data"): void {
    const candidate = this.#candidate(path)
    const isNew = !isProven(candidate)
    candidate.openedAtMs = nowMs
    if (opened === "Data") this.#carried(candidate, nowMs)
    const current = this.#current
    const how = { nowMs, isNew, onlyMeasured: opened === "Measure" }
    if (current === undefined || this.#isBetter(candidate, current, how)) this.#use(candidate, nowMs)
  }

  #use(candidate: Candidate, nowMs: number): void {
    const before = this.#current
    if (candidate === before) return
    this.#current = candidate
    // From now on the peer's data is expected there.
    candidate.aliveAtMs = nowMs
    // Back to it only when it carries both ways: the peer's probes may still come.
    if (before !== undefined && !before.path.relayed && candidate.path.relayed) before.isLeft = isProven(before)
  }

  /**
   * The peer's data came by it. If that is the relay while a direct path is in use here, the peer has found that path dead, maybe in
   * the direction that only it can see.
   */
  #carried(candidate: Candidate, nowMs: number): void {
    const current = this.#current
    PathCandidate.revive(candidate, nowMs)
    this.#flow.carried(nowMs)
    if (!candidate.path.relayed || current === undefined || current.path.relayed) return
    if (nowMs - current.aliveAtMs > INSTEAD_PART * (current.quality.snapshot.rttMs ?? ASSUMED_MS)) current.isLeft = true
  }

  /** The peer says that it may be reached at these hosts, which it did not before: where it was elsewhere, it may be no more. */
  departed(hosts: ReadonlySet<string>): void {
    for (const candidate of this.#candidates) {
      const { endpoint } = candidate.path
      if (endpoint !== undefined && !hosts.has(endpoint.host)) candidate.isLeft = true
    }
  }

  /** This node is in another network. The direct path in use may work as before, and is the only one until the beacon knows. */
  moved(nowMs: number): void {
    this.#movedAtMs = nowMs
    this.tryAgain()
  }

  /** The beacon knows where this node is now: what has not been alive since is given up for the relay. */
  announced(): void {
    for (const candidate of this.#candidates)
      if (!candidate.path.relayed && candidate.aliveAtMs < this.#movedAtMs) candidate.isLeft = true
    this.tryAgain()
  }

  /**
   * A direct path always wins over the relay; among direct ones the one heard last does, which is how a peer roams. Whoever
   * leads goes by a new path at once, and back to an old one only if the other end does not come to the path in use.
   */
  #isBetter(
    candidate: Candidate,
    current: Candidate,
    { isNew, nowMs, onlyMeasured }: { readonly nowMs: number; readonly isNew: boolean; readonly onlyMeasured: boolean }
  ): boolean {
    if (!isProven(current) || this.#isSilent(current, nowMs)) return true
    if (candidate.isLeft) return false
    if (candidate.path.relayed || (onlyMeasured && !current.path.relayed)) return false
    return current.path.relayed || !this.#leads || isNew || nowMs - current.openedAtMs > LEAD_MS
  }

  /** The path for the next frame, or `undefined` when there is none. */
  select(nowMs: number): Path.Path | undefined {
    const current = this.#current
    if (current !== undefined && isProven(current) && !this.#isSilent(current, nowMs)) return current.path
    const best = PathRanking.best(this.#candidates, this.#config.silenceMs, nowMs)
    if (best !== undefined) this.#use(best, nowMs)
    return this.#current?.path
  }

  /** Whether a frame of this size may go to the path now, and books it if so. */
  spend(path: Path.Path, payloadBytes: number, nowMs: number): boolean {
    const candidate = this.#candidate(path)
    if (!book(candidate, payloadBytes)) return false
    this.#spentAtMs = nowMs
    PathRanking.awaits(candidate, nowMs)
    return true
  }

  /** Whether an answer or a challenge may go to the path it concerns now; books it if so. Nobody answers for its sake. */
  mayAnswer(path: Path.Path, payloadBytes: number): boolean {
    return book(this.#candidate(path), payloadBytes)
  }

  /**
   * The paths on which to ask the peer for keys: where it was said to be, since somebody has to speak first, and where
   * something came from as far as its budget goes.
   */
  toAsk(payloadBytes: number): ReadonlyArray<Path.Path> {
    const asked = this.#candidates.filter((candidate) => candidate.isLearned || book(candidate, payloadBytes))
    return asked.map((candidate) => candidate.path)
  }

  /** True while the path in use leaves frames unanswered: the peer may be gone, elsewhere, or have lost its keys. */
  isSilent(nowMs: number): boolean {
    return this.#current !== undefined && this.#isSilent(this.#current, nowMs)
  }

  /**
   * When to ask on all paths, before anything is given up, because what flowed has stopped: our frames are unanswered for longer
   * than usual, or the peer's come no more. Whoever is behind a translator that was restarted learns only so that its frames come
   * from elsewhere now. To be told by `asked` that it was done.
   */
  get doubtAtMs(): number {
    const current = this.#current
    if (current === undefined) return Number.POSITIVE_INFINITY
    const patienceMs = Math.max(DOUBT_MS, 2 * (current.quality.snapshot.rttMs ?? 0))
    const missingAtMs = PathRanking.silentFromMs(current, patienceMs)
    return Math.max(this.#askedAtMs + DOUBT_INTERVAL_MS, Math.min(missingAtMs, this.#flow.stoppedAtMs))
  }

  /** It was asked on all paths. */
  asked(nowMs: number): void {
    this.#askedAtMs = nowMs
    this.#flow.asked()
  }

  /** From when on it does, if no answer comes; `Infinity` while none is missing. */
  get silentFromMs(): number {
    const current = this.#current
    return current === undefined ? Number.POSITIVE_INFINITY : PathRanking.silentFromMs(current, this.#config.silenceMs)
  }

  /** The direct paths to try again now while the relay carries the data, by a frame of this size each. */
  probes(payloadBytes: number, nowMs: number): ReadonlyArray<Path.Path> {
    if (nowMs < this.probeAtMs) return []
    const due = this.#candidates.filter((candidate) => !candidate.path.relayed && nowMs >= this.#probeAtMs(candidate))
    for (const candidate of due) {
      candidate.probedAtMs = nowMs
      candidate.probes += 1
    }
    return due.filter((candidate) => candidate.isLearned || book(candidate, payloadBytes)).map(({ path }) => path)
  }

  /** When the next of them is due; `Infinity` while a direct path is in use. */
  get probeAtMs(): number {
    if (!this.#isSought) return Number.POSITIVE_INFINITY
    let atMs = Number.POSITIVE_INFINITY
    for (const candidate of this.#candidates)
      if (!candidate.path.relayed) atMs = Math.min(atMs, this.#probeAtMs(candidate))
    return atMs
  }

  /** Something changed on the way, so what was tried in vain may work now: all of it is tried anew. */
  tryAgain(): void {
    for (const candidate of this.#candidates) {
      candidate.probes = 0
      candidate.probedAtMs = Number.NEGATIVE_INFINITY
    }
  }

  /** A probe with this number went by the path. */
  probed(path: Path.Path, sequence: number, nowMs: number): void {
    this.#candidate(path).quality.probed(sequence, nowMs)
  }

  /**
   * The answer to it came by the same path: how long it took, `undefined` if it answers nothing. Whoever leads may find that
   * another direct path has become the better one.
   */
  answered(path: Path.Path, sequence: number, nowMs: number): number | undefined {
    const candidate = this.#candidate(path)
    const rttMs = candidate.quality.answered(sequence, nowMs)
    if (rttMs === undefined) return undefined
    PathCandidate.revive(candidate, nowMs)
    if (this.#current === undefined) return rttMs
    if (this.#current.path.relayed && !path.relayed) this.#current = candidate
    if (!this.#leads) return rttMs
    if (!PathMeasures.hasWon(candidate, this.#current)) return rttMs
    for (const each of this.#candidates) each.wins = 0
    this.#current = candidate
    return rttMs
  }

  /**
   * The paths whose quality is to be asked now: the one in use, the others that work, the relay among them, which is thus
   * kept open, and seldom the places where nobody has answered yet. `keepaliveMs`: how long a translator keeps a mapping
   * that is not used.
   */
  measures(nowMs: number, keepaliveMs: number): ReadonlyArray<Path.Path> {
    if (nowMs < this.measureAtMs(keepaliveMs)) return []
    const rhythm = this.#rhythm(keepaliveMs)
    const due = this.#candidates.filter((candidate) => nowMs >= PathMeasures.dueAtMs(candidate, rhythm))
    for (const candidate of due) candidate.measuredAtMs = nowMs
    return due.map(({ path }) => path)
  }

  /** When the next of them is due. */
  measureAtMs(keepaliveMs: number): number {
    const rhythm = this.#rhythm(keepaliveMs)
    let atMs = Number.POSITIVE_INFINITY
    for (const candidate of this.#candidates) atMs = Math.min(atMs, PathMeasures.dueAtMs(candidate, rhythm))
    return atMs
  }

  #rhythm(keepaliveMs: number): PathMeasures.Rhythm {
    return { keepaliveMs, isSought: this.#isSought, spentAtMs: this.#spentAtMs }
  }

  get #isSought(): boolean {
    return this.#current === undefined || this.#current.path.relayed
  }

  #probeAtMs({ probedAtMs, probes }: Candidate): number {
    const pauses = this.#config.probePausesMs
    return probes === 0 ? probedAtMs : probedAtMs + (pauses[Math.min(probes, pauses.length) - 1] ?? 0)
  }

  /** All of them, for whoever wants to know why; the order is that of learning. */
  report(nowMs: number): ReadonlyArray<PathReport.Candidate> {
    const chosen = this.#current?.path
    return this.#candidates.map((candidate) => PathRanking.report(candidate, chosen, this.#config.silenceMs, nowMs))
  }

  #isSilent(candidate: Candidate, nowMs: number): boolean {
    return PathRanking.isSilent(candidate, this.#config.silenceMs, nowMs)
  }

  #candidate(path: Path.Path): Candidate {
    const current = this.#current
    if (current !== undefined && Path.equals(current.path, path)) return current
    const known = this.#candidates.find((candidate) => Path.equals(candidate.path, path))
    if (known !== undefined) return known
    const fresh = PathCandidate.make(path)
    if (this.#candidates.length === CANDIDATES_MAX) this.#evict()
    this.#candidates.push(fresh)
    return fresh
  }

  /** The least recently proven path goes, of unproven ones that nobody told us of first: a flood of forged sources displaces itself. */
  #evict(): void {
    const removable = this.#candidates.filter((candidate) => candidate !== this.#current && !candidate.path.relayed)
    const isLess = (a: Candidate, b: Candidate) =>
      a.openedAtMs === b.openedAtMs ? !a.isLearned && b.isLearned : a.openedAtMs < b.openedAtMs
    const least = removable.reduce((a, b) => (isLess(b, a) ? b : a), removable[0]!)
    this.#candidates = this.#candidates.filter((candidate) => candidate !== least)
  }
}

/** Longer than most round trips, and soon enough to know more before the silence is long enough to go elsewhere. */
const DOUBT_MS = 300
/** Between two such questions. */
const DOUBT_INTERVAL_MS = 1_000
/** Data by the relay, so many round trips after the last by the direct path, says that the peer has left that. */
const INSTEAD_PART = 1.5
const ASSUMED_MS = 100
/** Longer than a round trip, and short enough for a peer that roams. */
const LEAD_MS = 500
/** Paths remembered per peer. */
export const CANDIDATES_MAX = 16
/** A little more than two rounds of asking. */
const AWAY_MS = 2_500
