/** `LanPresence` over the package `multicast-dns`: one socket for each IPv4 interface, looked for again now and then. */
import { networkInterfaces } from "node:os"
import { Effect, type Scope } from "effect"
import multicastDns from "multicast-dns"
import { type LanHeard, type LanPresence, type LanRecord, LanUnavailable } from "./LanDiscovery.ts"

/** See `LanDiscovery`. */
export const open = (service: string): Effect.Effect<LanPresence, LanUnavailable, Scope.Scope> =>
  Effect.flatMap(
    Effect.acquireRelease(
      Effect.sync(() => new Presence(service)),
      (presence) => Effect.promise(() => presence.close())
    ),
    (presence) =>
      presence.addresses().length === 0
        ? Effect.fail(new LanUnavailable({ detail: "this machine has no network interface with an IPv4 address" }))
        : Effect.succeed(presence)
  )

interface Interface {
  readonly address: string
  readonly dns: multicastDns.MulticastDNS
  /** When it was last said there, and the timer that says it again. */
  saidAtMs: number
  again: NodeJS.Timeout | undefined
}

class Presence implements LanPresence {
  readonly #service: string
  readonly #interfaces = new Map<string, Interface>()
  readonly #timer: NodeJS.Timeout
  #record: LanRecord | undefined
  #heard: (one: LanHeard) => void = () => {}

  constructor(service: string) {
    this.#service = service
    this.#look()
    this.#timer = setInterval(() => this.#look(), LOOK_MS)
    this.#timer.unref()
  }

  readonly addresses = (): ReadonlyArray<string> => [...this.#interfaces.keys()]

  readonly publish = (record: LanRecord): void => {
    this.#record = record
    for (const one of this.#interfaces.values()) this.#sayTwice(one)
  }

  readonly ask = (): void => {
    for (const { dns } of this.#interfaces.values()) dns.query([{ name: this.#service, type: "PTR" }])
  }

  readonly onHeard = (heard: (one: LanHeard) => void): void => {
    this.#heard = heard
  }

  /** Takes back what was said (RFC 6762 §10.1). */
  async close(): Promise<void> {
    clearInterval(this.#timer)
    for (const { again } of this.#interfaces.values()) clearTimeout(again)
    const record = this.#record
    await Promise.all(
      [...this.#interfaces.values()].map(
        ({ address, dns }) =>
          new Promise<void>((resolve) => {
            const end = () => dns.destroy(() => resolve())
            if (record === undefined) end()
            else dns.respond(this.#answer(record, address, 0), end)
          })
      )
    )
  }

  /** Interfaces come and go. */
  #look(): void {
    const addresses = Object.values(networkInterfaces())
      .flatMap((all) => all?.find(({ family, internal }) => family === "IPv4" && !internal)?.address ?? [])
      .slice(0, INTERFACES_MAX)
    for (const [address, one] of this.#interfaces) if (!addresses.includes(address)) this.#leave(one)
    for (const address of addresses) if (!this.#interfaces.has(address)) this.#join(address)
  }

  #join(address: string): void {
    // Bound to the address itself, Linux would hear no multicast.
    const dns = multicastDns({ interface: address, bind: "0.0.0.0" })
    const one: Interface = { address, dns, saidAtMs: Number.NEGATIVE_INFINITY, again: undefined }
    this.#interfaces.set(address, one)
    dns.on("error", () => this.#leave(one))
    dns.on("warning", () => {})
    dns.on("query", ({ questions = [] }) => {
      const isWanted = questions.some(({ name, type }) => name.toLowerCase() === this.#service && ASKED.has(type))
      if (isWanted) this.#say(one)
    })
    dns.on("response", ({ additionals = [], answers = [] }, { address: from }) => {
      for (const answer of [...answers, ...additionals].slice(0, RECORDS_MAX)) {
        const isOurs = answer.type === "TXT" && answer.name.toLowerCase().endsWith(`.${this.#service}`)
        if (isOurs && answer.ttl !== 0) this.#heard({ texts: textsOf(answer.data), from })
      }
    })
    dns.on("ready", () => {
      dns.query([{ name: this.#service, type: "PTR" }])
      this.#sayTwice(one)
    })
  }

  #leave(one: Interface): void {
    clearTimeout(one.again)
    if (this.#interfaces.get(one.address) === one) this.#interfaces.delete(one.address)
    one.dns.destroy()
  }

  /** An announcement is repeated after a second (RFC 6762 §8.3). */
  #sayTwice(one: Interface): void {
    this.#say(one)
    this.#sayLater(one, SAY_MS)
  }

  /** Not more often than once a second, whoever asks (RFC 6762 §6); who asks in between is answered then. */
  #say(one: Interface): void {
    const record = this.#record
    if (record === undefined) return
    const earlyMs = one.saidAtMs + SAY_MS - performance.now()
    if (earlyMs > 0) return this.#sayLater(one, earlyMs)
    one.saidAtMs = performance.now()
    one.dns.respond(this.#answer(record, one.address, TTL_SECONDS))
  }

  #sayLater(one: Interface, delayMs: number): void {
    if (one.again !== undefined) return
    one.again = setTimeout(() => {
      one.again = undefined
      this.#say(one)
    }, delayMs)
    one.again.unref()
  }

  #answer({ instance, port, texts }: LanRecord, address: string, ttl: number): multicastDns.ResponseOutgoingPacket {
    const name = `${instance}.${this.#service}`
    const target = `${instance}.local`
    return {
      answers: [
        { name: this.#service, type: "PTR", ttl, data: name },
        { name, type: "SRV", ttl, data: { port, target, priority: 0, weight: 0 } },
        { name, type: "TXT", ttl, data: [...texts] },
        { name: target, type: "A", ttl, data: address }
      ]
    }
  }
}

/** What is too much to be one of ours is cut; what is not UTF-8 is no text of ours either. */
const textsOf = (data: string | Buffer | ReadonlyArray<string | Buffer>): ReadonlyArray<string> =>
  (Array.isArray(data) ? data : [data]).slice(0, TEXTS_MAX).map((text) => String(text).slice(0, TEXT_CHARACTERS_MAX))

const ASKED: ReadonlySet<string> = new Set(["PTR", "ANY"])
/** Between two looks at the interfaces. */
const LOOK_MS = 30_000
const INTERFACES_MAX = 8
/** Of one packet that are looked at. */
const RECORDS_MAX = 32
const TEXTS_MAX = 17
const TEXT_CHARACTERS_MAX = 256
/** RFC 6762 §6. */
const SAY_MS = 1_000
/** RFC 6762 §10. */
const TTL_SECONDS = 120
