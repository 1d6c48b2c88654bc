/**
 * Birthday probing with one peer: performs what `BirthdayOpener` and `BirthdayGuesser` decide. It begins when the relay has carried
 * streams for a while although everything else was tried, is known only to a peer that has announced that it takes part, and sends to
 * nobody but where the beacon has placed the peer (`GuessLimit`). Nothing waits for it.
 *
 * Owned by the peer's actor; the side sockets are held by a fiber in the actor's scope.
 */
import { Effect, type Scope } from "effect"
import type { Pieces } from "../../core/data/Bytes.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import type { Endpoint } from "../../core/data/Endpoint.ts"
import * as EndpointOf from "../../core/data/Endpoint.ts"
import type * as Birthday from "../../nat/Birthday.ts"
import { defaults, PortDeck } from "../../nat/Birthday.ts"
import * as Guesser from "../../nat/BirthdayGuesser.ts"
import * as Opener from "../../nat/BirthdayOpener.ts"
import { BirthdayRecord } from "../../nat/BirthdayRecord.ts"
import * as Path from "../../nat/Path.ts"
import type { BirthdayOutcome } from "../../protocol/ProtocolEvent.ts"
import type { NodeId } from "../../protocol/wire/Address.ts"
import type { BirthdayMessage, Reason } from "../../protocol/wire/BirthdayMessage.ts"
import * as ControlMessage from "../../protocol/wire/ControlMessage.ts"
import type * as Packet from "../../protocol/wire/Packet.ts"
import type { Turn } from "./BirthdayDesk.ts"
import type { BirthdayStation } from "./BirthdayStation.ts"
import type { NodeContext } from "./NodeContext.ts"
import { type BirthdayStep, Message } from "./PeerMessage.ts"
import type { PeerPaths } from "./PeerPaths.ts"
import type { Group } from "./SideSockets.ts"

/** What it needs of the peer's actor. */
export interface Options {
  readonly context: NodeContext
  readonly node: NodeId
  readonly paths: PeerPaths
  /** By the path in use. */
  readonly send: (packet: Packet.Packet) => void
  /** Nothing while there are no keys. */
  readonly seal: (packet: Packet.Packet) => Pieces | undefined
  /** Streams that may still carry something; looks at all of them. */
  readonly hasStreams: () => boolean
  /** To the owner, from outside its turn. */
  readonly tell: (message: Message) => boolean
}

/** Mutable, inside the one actor that owns it. */
export class PeerBirthday {
  readonly #options: Options
  readonly #station: BirthdayStation
  #opener: Opener.State = Opener.initial
  #guesser: Guesser.State = Guesser.initial
  #isUnderstood = false
  /** Since when the relay has carried streams. */
  #relayedSinceMs = Number.POSITIVE_INFINITY
  #notBeforeMs = Number.NEGATIVE_INFINITY
  #round = 0
  #turn: Turn | undefined
  /** Whose ports are tried: the peer's host, or the mapping that the sockets knock at. */
  #target: Endpoint | undefined
  #group: Group | undefined
  #isKept = false
  #deck = new PortDeck()
  readonly #record = new BirthdayRecord()

  constructor(options: Options) {
    this.#options = options
    this.#station = options.context.birthday
  }

  /** The last try, or the one under way. */
  report(nowMs: number): Birthday.Report | undefined {
    return this.#record.at(nowMs)
  }

  /** The peer takes part, or does not. */
  announced(isUnderstood: boolean): void {
    this.#isUnderstood = isUnderstood
  }

  /** When to call `run`. */
  get deadlineMs(): number {
    if (!this.#isTrying) return Math.min(this.#startAtMs, this.#releaseAtMs)
    const opener = OPENER.deadlineMs(this.#opener) ?? Number.POSITIVE_INFINITY
    return Math.min(opener, GUESSER.deadlineMs(this.#guesser) ?? Number.POSITIVE_INFINITY)
  }

  /** Does what is due; `isBusy`: there are streams, for which a direct path is worth something. */
  run(isBusy: boolean, nowMs: number): void {
    const current = this.#options.paths.selector.current
    if (current?.relayed !== true || !isBusy) this.#relayedSinceMs = Number.POSITIVE_INFINITY
    else if (this.#relayedSinceMs === Number.POSITIVE_INFINITY) this.#relayedSinceMs = nowMs
    if (this.#isTrying) {
      if (!isBusy) return this.#breakOff(nowMs)
      this.#follow(nowMs)
      const place = this.#station.place
      if (place === undefined) return this.#breakOff(nowMs)
      this.#stepOpener(Opener.Input.TimerFired({ place }), nowMs)
      this.#stepGuesser(Guesser.Input.TimerFired(), nowMs)
    } else {
      if (this.#releaseAtMs <= nowMs) this.#release()
      if (this.#startAtMs <= nowMs) this.#start(nowMs)
    }
  }

  /** This host is elsewhere: its sockets mean nothing there, and what was in vain may work. */
  networkChanged(nowMs: number): void {
    this.#breakOff(nowMs)
    this.#release()
    this.#notBeforeMs = nowMs
  }

  /** A frame that came by a side socket has opened: what is sent to where it came from leaves by that one from now on. */
  opened(by: number, nowMs: number): void {
    const group = this.#group
    if (this.#opener._tag !== "Knocking" || group?.has(by) !== true) return
    group.keep(by)
    this.#isKept = true
    this.#stepOpener(Opener.Input.Found({ isHit: true }), nowMs)
  }

  /** The peer said something about a try. Strangers may not make this node send anywhere. */
  received(message: BirthdayMessage, nowMs: number): void {
    const { context, node, paths } = this.#options
    if (!context.isTrusted(node)) return
    switch (message._tag) {
      case "Asked":
        return this.#asked(message.round, message.place, nowMs)
      case "Agreed":
        if (this.#station.mayKnock(message.place, nowMs)) return this.#stepOpener(Opener.Input.Told({ message }), nowMs)
        return paths.punch(nowMs)
      case "Declined":
        return this.#stepOpener(Opener.Input.Told({ message }), nowMs)
      case "Opened":
        if (this.#target === undefined || !this.#station.placed.hasHost(this.#target.host, nowMs))
          return paths.punch(nowMs)
        if (this.#guesser._tag === "Waiting") this.#record.opened(message.sockets)
        return this.#stepGuesser(Guesser.Input.Opened({ round: message.round }), nowMs)
      case "Ended":
        // Who has found a path says so by that.
        this.#follow(nowMs)
        this.#stepOpener(Opener.Input.Told({ message }), nowMs)
        return this.#stepGuesser(Guesser.Input.Ended({ round: message.round }), nowMs)
    }
  }

  /** Does what the owner was told; what takes time lives in `scope`. */
  perform({ step }: BirthdayStep, scope: Scope.Scope, nowMs: number): Effect.Effect<void> | void {
    switch (step._tag) {
      case "Look": {
        const looked = Effect.map(this.#station.look, () => void this.#tell({ _tag: "Looked" }))
        return Effect.asVoid(Effect.forkIn(looked, scope))
      }
      case "Looked":
        if (this.#station.role === "opener") this.#notBeforeMs = nowMs
        return
      case "Open":
        return Effect.asVoid(Effect.forkIn(this.#open(step.to), scope))
      case "Opened":
        // The try may be over, or another one.
        if (this.#opener._tag !== "Knocking" || this.#opener.sockets > 0) return step.group.release()
        this.#group = step.group
        this.#record.opened(step.group.size)
        return this.#stepOpener(Opener.Input.SocketsOpened({ sockets: step.group.size }), nowMs)
      case "Refused":
        return this.#stepOpener(Opener.Input.SocketsRefused(), nowMs)
    }
  }

  get #isTrying(): boolean {
    return this.#opener._tag !== "Resting" || this.#guesser._tag !== "Resting"
  }

  get #startAtMs(): number {
    if (!this.#isUnderstood) return Number.POSITIVE_INFINITY
    return Math.max(this.#relayedSinceMs + defaults.afterMs, this.#notBeforeMs)
  }

  /** The path by the socket that was kept has been given up. */
  get #releaseAtMs(): number {
    return this.#group === undefined ? Number.POSITIVE_INFINITY : this.#relayedSinceMs + GIVEN_UP_MS
  }

  #start(nowMs: number): void {
    const { context, hasStreams, node, paths } = this.#options
    const { desk, place, role } = this.#station
    this.#notBeforeMs = nowMs + BUSY_MS
    if (!hasStreams()) return
    this.#notBeforeMs = nowMs + RECHECK_MS
    if (place === undefined || !context.isTrusted(node)) return
    if (role === "unknown") return void this.#tell({ _tag: "Look" })
    if (role !== "opener") return
    this.#turn = desk.take(TURN_MS, nowMs)
    if (this.#turn === undefined) {
      this.#notBeforeMs = nowMs + BUSY_MS
      return
    }
    this.#notBeforeMs = nowMs + defaults.restMs
    this.#release()
    this.#round = (this.#round % ROUND_MAX) + 1
    this.#record.begin("opener", nowMs)
    // The beacon tells both where the other one is.
    paths.punch(nowMs)
    this.#stepOpener(Opener.Input.Wanted({ round: this.#round, place }), nowMs)
  }

  #asked(round: number, place: Endpoint, nowMs: number): void {
    if (this.#guesser._tag !== "Resting")
      return this.#stepGuesser(Guesser.Input.Asked({ round, answer: "Busy" }), nowMs)
    if (this.#station.role === "unknown") return void this.#tell({ _tag: "Look" })
    const answer = this.#answer(place, nowMs)
    if (typeof answer !== "string") {
      this.#target = place
      this.#deck = new PortDeck()
      this.#record.begin("guesser", nowMs)
      this.#options.paths.punch(nowMs)
    }
    this.#stepGuesser(Guesser.Input.Asked({ round, answer }), nowMs)
  }

  /** Where this node is, or why it does not guess; has the turn if it does. */
  #answer({ host }: Endpoint, nowMs: number): Endpoint | Reason {
    const { hasStreams, paths } = this.#options
    if (paths.selector.current?.relayed !== true || !hasStreams()) return "NotNow"
    const answer = this.#station.answer(host, nowMs)
    if (typeof answer === "string") return answer
    this.#turn = this.#station.desk.take(TURN_MS, nowMs)
    return this.#turn === undefined ? "Busy" : answer
  }

  #open(to: Endpoint): Effect.Effect<void> {
    const { sides } = this.#station
    const opened = (group: Group) => {
      // Nobody else would ever let them go.
      if (!this.#tell({ _tag: "Opened", group })) group.release()
    }
    return Effect.catch(sides.run(to, defaults.sockets, opened), () =>
      Effect.sync(() => void this.#tell({ _tag: "Refused" }))
    )
  }

  /** A direct path ends a try. It is the opener's doing without any of its sockets where a guess has met the node's own. */
  #follow(nowMs: number): void {
    const { endpoint } = this.#options.paths.selector.current ?? {}
    const target = this.#target
    if (endpoint === undefined) return
    const isMet = target !== undefined && EndpointOf.equals(endpoint, target)
    this.#stepOpener(Opener.Input.Found({ isHit: isMet }), nowMs)
    this.#stepGuesser(Guesser.Input.Found({ isHit: endpoint.host === target?.host }), nowMs)
  }

  #breakOff(nowMs: number): void {
    this.#stepOpener(Opener.Input.BrokenOff(), nowMs)
    this.#stepGuesser(Guesser.Input.BrokenOff(), nowMs)
  }

  #stepOpener(input: Opener.Input, nowMs: number): void {
    const { outputs, state } = OPENER.step(this.#opener, input, nowMs)
    this.#opener = state
    for (const output of outputs)
      if (output._tag === "Tell") this.#say(output.message)
      else if (output._tag === "Over") this.#over(output, nowMs)
      else if (output._tag === "Knock") this.#knock(output.first, output.count, nowMs)
      else {
        this.#target = output.to
        this.#tell({ _tag: "Open", to: output.to })
      }
  }

  #stepGuesser(input: Guesser.Input, nowMs: number): void {
    const { outputs, state } = GUESSER.step(this.#guesser, input, nowMs)
    this.#guesser = state
    for (const output of outputs)
      if (output._tag === "Tell") this.#say(output.message)
      else if (output._tag === "Over") this.#over(output, nowMs)
      else this.#guess(output.count, nowMs)
  }

  #knock(first: number, count: number, nowMs: number): void {
    const group = this.#group
    if (group === undefined) return
    for (let index = first; index < first + count; index++)
      if (!this.#probe(group.to.host, (frame) => group.send(index, frame), nowMs)) return
  }

  #guess(count: number, nowMs: number): void {
    const { context, paths } = this.#options
    const host = this.#target?.host
    if (host === undefined) return
    const random = context.crypto.randomBytes(4 * count)
    for (let guess = 0; guess < count; guess++) {
      const path = Path.direct({ host, port: this.#deck.draw(Bytes.readU32(random, 4 * guess)) })
      if (!this.#probe(host, (frame) => paths.write(frame, path), nowMs))
        return this.#stepGuesser(Guesser.Input.Exhausted(), nowMs)
    }
  }

  /** A sealed path probe; false where no more may be sent. */
  #probe(host: string, send: (frame: Pieces) => void, nowMs: number): boolean {
    if (!this.#station.take(host, nowMs)) return false
    const frame = this.#options.seal(ControlMessage.numbered(this.#options.paths.probePacket, PROBE_NUMBER, false))
    if (frame === undefined) return true
    send(frame)
    this.#record.sent()
    return true
  }

  #over({ detail, outcome }: { readonly outcome: BirthdayOutcome; readonly detail: string }, nowMs: number): void {
    const { context, node } = this.#options
    this.#station.desk.giveBack(this.#turn)
    this.#turn = undefined
    if (!this.#isKept) this.#release()
    const report = this.#record.end(outcome, detail, nowMs)
    if (report === undefined) return
    this.#station.desk.count(outcome)
    if (outcome === "hit") this.#notBeforeMs = report.startedAtMs + defaults.restFoundMs
    if (detail === "Busy" || detail === "NotNow") this.#notBeforeMs = nowMs + RECHECK_MS
    const { probes, role, sockets } = report
    context.report({ _tag: "BirthdayEnded", peer: node, role, outcome, sockets, probes })
  }

  #release(): void {
    this.#group?.release()
    this.#group = undefined
    this.#isKept = false
  }

  #say(message: BirthdayMessage): void {
    const { context, paths, send } = this.#options
    send(ControlMessage.birthday(context.address, paths.peer, message))
  }

  #tell(step: BirthdayStep["step"]): boolean {
    return this.#options.tell(Message.Birthday({ step }))
  }
}

const OPENER = Opener.make(defaults)
const GUESSER = Guesser.make(defaults)
/** No other probe has it, so an answer says nothing of round trips. */
const PROBE_NUMBER = 0x7fff_ffff
const ROUND_MAX = 255
/** Longer than any try. */
const TURN_MS = 40_000
/** Another peer has the turn, or no stream is open. */
const BUSY_MS = 5_000
/** Until it is asked again what this node's translator is. */
const RECHECK_MS = 60_000
/** The relay carries for so long what went by a socket of its own: that one is closed. */
const GIVEN_UP_MS = 60_000
