/**
 * What a client needs at its start, from memory while the service cannot be reached (mcp §6.9): its opening and its whole
 * lists, as the server last gave them to a client like this one. An ordinary list passes, and is noted on the way. When the
 * server is back, what was told from memory is compared with what it says, and the client hears once of a difference.
 *
 * Pure; mutable inside the session that owns it. What it knows beyond the session is given to it, and taken from it.
 */
import * as Bytes from "../../core/data/Bytes.ts"
import * as CanonicalJson from "../../core/data/CanonicalJson.ts"
import * as Json from "../../core/data/Json.ts"
import { META } from "./era/EraTranslator.ts"
import * as RawRpc from "./era/RawRpc.ts"
import * as JsonEdit from "./JsonEdit.ts"
import * as JsonRpcPeek from "./JsonRpcPeek.ts"
import * as KnownAnswers from "./KnownAnswers.ts"
import { ListNews, plain } from "./ListNews.ts"
import { ListPages } from "./ListPages.ts"

/** What the outside world gives. */
export interface Options {
  /** A short name of a long text. */
  readonly hash: (text: string) => string
  /** Wall clock. */
  readonly nowMs: () => number
  /** An instant of the wall clock as ISO 8601. */
  readonly instant: (atMs: number) => string
  /**
   * The client sees a list from memory as it is. While a peer is away it may not be known which of its tools may be shown, so
   * a client that saw less hears of a change in any case.
   */
  readonly isWhole: boolean
  /** The first answer to each list comes from memory although the server could be asked, which it is then. */
  readonly isEager?: boolean
}

type Request = Extract<JsonRpcPeek.Envelope, { _tag: "Request" }>

/** One session. */
export class ListMemory {
  readonly #options: Options
  /** By client and method. */
  readonly #known = new Map<string, Map<string, KnownAnswers.Answer>>()
  /** Questions that the server has, by the keys of their ids. */
  readonly #pending = new Map<string, Question>()
  readonly #pages = new Map<string, ListPages>()
  /** What the client believes of each list, by method. */
  readonly #told = new Map<string, Told>()
  readonly #news = new ListNews()
  /** Lists that may still be told from memory while there is a connection. */
  readonly #early: Set<string>
  /** Lists that are old for every kind of client, until that is saved. */
  readonly #dropped = new Set<string>()
  /** How a legacy client opened the session; a modern one says it with each request. */
  #opened: string | undefined
  #count = 0
  #toServer: Array<Uint8Array> = []
  #toClient: Array<Uint8Array> = []
  /** The service cannot be reached: `recall` answers. */
  isAway = false
  /** Something is known that was not, or is not any more. */
  isChanged = false

  constructor(options: Options) {
    this.#options = options
    this.#early = new Set(options.isEager === true ? Object.keys(KnownAnswers.LISTS) : [])
  }

  /** Takes over what is known from before, where this session has learned nothing newer itself. */
  learn(known: ReadonlyArray<KnownAnswers.Known>): void {
    for (const { answers, client } of known) {
      if (!this.#known.has(client) && this.#known.size >= CLIENTS_MAX) continue
      const mine = this.#answers(client)
      for (const [method, answer] of Object.entries(answers)) {
        if (!mine.has(method) && !this.#dropped.has(method)) mine.set(method, answer)
      }
    }
  }

  /** From now on answers are those of another server: what is known is not of it. What the client believes stays. */
  moved(): void {
    this.#known.clear()
    this.#pages.clear()
    this.#dropped.clear()
    this.#early.clear()
    this.isChanged = false
  }

  /** Something has been learned, here or from before. */
  get isKnowing(): boolean {
    return this.#known.size > 0
  }

  /** The client has been told something that the server may not say. */
  get isGuessing(): boolean {
    return [...this.#told.values()].some(({ isCertain }) => !isCertain)
  }

  /** What is to be known from now on, the kinds of clients that were met last first. */
  save(): ReadonlyArray<KnownAnswers.Known> {
    this.isChanged = false
    this.#dropped.clear()
    return [...this.#known]
      .toSorted(([, a], [, b]) => newest(b) - newest(a))
      .map(([client, answers]) => ({ client, answers: Object.fromEntries(answers) }))
  }

  /** A request of the client is on its way to the server. */
  asked(message: Uint8Array, { id, method }: Request): void {
    if (method === "subscriptions/listen") return this.#news.asked(message, id)
    if (!KnownAnswers.isKept(method)) return
    this.#early.delete(method)
    const client = this.#clientOf(message, method)
    if (client === undefined || this.#pending.size >= PENDING_MAX) return
    const cursor = JsonRpcPeek.string(message, ["params", "cursor"])
    this.#pending.set(RawRpc.idKey(id), { method, client, cursor, meta: metaOf(message) })
  }

  /** The answer to a request from memory, with its raw id; undefined if none is known. */
  recall(message: Uint8Array, { id, method }: Request): Uint8Array | undefined {
    if (!(this.isAway || this.#early.has(method)) || !KnownAnswers.isKept(method)) return undefined
    const client = this.#clientOf(message, method)
    const answer = client === undefined ? undefined : this.#known.get(client)?.get(method)
    // Whoever has the first page of the server's own gets no second one from here.
    const isLater = JsonRpcPeek.member(message, ["params", "cursor"]) !== undefined
    if (client === undefined || answer === undefined || isLater) return undefined
    const recalled = KnownAnswers.recalled(answer, id, this.#options.instant(answer.asOfMs))
    const kind = KnownAnswers.LISTS[method]
    if (kind !== undefined) {
      const elements = Json.parseObject(answer.raw)
      const list = elements === undefined ? [] : Json.objects(elements, kind)
      const print = this.#options.isWhole ? this.#print(list.map((element) => JSON.stringify(element))) : ""
      const told = { client, meta: metaOf(message), print, isCertain: false }
      this.#told.set(method, told)
      this.#early.delete(method)
      if (!this.isAway) this.#toServer.push(this.#ask(method, told, undefined))
    }
    return recalled
  }

  /** Answers may come that say something here. */
  get isWaiting(): boolean {
    return this.#pending.size > 0 || this.#news.isOpen
  }

  /** An answer of the server; `Ours` if the client has not asked for it. */
  answered(message: Uint8Array, id: string): "Ours" | "Client" {
    const key = RawRpc.idKey(id)
    this.#news.ended(id)
    const question = this.#pending.get(key)
    const whose = isOurs(id) ? "Ours" : "Client"
    if (question === undefined) return whose
    this.#pending.delete(key)
    const { client, method } = question
    const kind = KnownAnswers.LISTS[method]
    const answer = KnownAnswers.answerOf(message, method, this.#options.nowMs())
    if (kind === undefined) this.#note(client, method, answer)
    else if (answer !== undefined) this.#page(question, kind, message)
    return whose
  }

  /** A request of ours will not be answered. */
  lost(id: string): void {
    this.#pending.delete(RawRpc.idKey(id))
  }

  /** A legacy server was opened again, with this answer. */
  reopened(message: Uint8Array): void {
    const answer = KnownAnswers.answerOf(message, "initialize", this.#options.nowMs())
    if (this.#opened !== undefined) this.#note(this.#opened, "initialize", answer)
  }

  /** A notification of the server; gives what the client has to hear besides. */
  notified(message: Uint8Array, method: string): ReadonlyArray<Uint8Array> {
    if (method === "notifications/subscriptions/acknowledged") return this.#news.begun(message)
    for (const list of KnownAnswers.CHANGES[method] ?? []) {
      // What every kind of client knew is old, also on disk.
      for (const answers of this.#known.values()) answers.delete(list)
      this.#dropped.add(list)
      this.#told.delete(list)
      this.#early.delete(list)
      this.isChanged = true
    }
    return []
  }

  /** The service is back, or has another server: gives the requests that find out what it lists now. */
  returned(isAnother: boolean): ReadonlyArray<Uint8Array> {
    this.isAway = false
    const asked = new Set(
      [...this.#pending.values()].flatMap(({ isOurs, method }) => (isOurs === true ? [method] : []))
    )
    return [...this.#told].flatMap(([method, told]) => {
      if (isAnother) told.isCertain = false
      return told.isCertain || asked.has(method) ? [] : [this.#ask(method, told, undefined)]
    })
  }

  /** What the answers since the last time have shown: requests for further pages, and news for the client. */
  take(): { readonly toServer: ReadonlyArray<Uint8Array>; readonly toClient: ReadonlyArray<Uint8Array> } {
    const taken = { toServer: this.#toServer, toClient: this.#toClient }
    this.#toServer = []
    this.#toClient = []
    return taken
  }

  #clientOf(message: Uint8Array, method: string): string | undefined {
    const said = KnownAnswers.clientOf(message, method)
    const client = said === undefined ? undefined : this.#options.hash(said)
    if (method === "initialize") this.#opened = client
    return client ?? this.#opened
  }

  #answers(client: string): Map<string, KnownAnswers.Answer> {
    const known = this.#known.get(client)
    if (known !== undefined) return known
    const [oldest] = [...this.#known].toSorted(([, a], [, b]) => newest(a) - newest(b))
    if (this.#known.size >= CLIENTS_MAX && oldest !== undefined) this.#known.delete(oldest[0])
    const answers = new Map<string, KnownAnswers.Answer>()
    this.#known.set(client, answers)
    return answers
  }

  #note(client: string, method: string, answer: KnownAnswers.Answer | undefined): void {
    if (answer === undefined || answer.raw.length > OPENING_CHARACTERS_MAX) return
    this.#answers(client).set(method, answer)
    this.isChanged = true
  }

  #page(question: Question, kind: string, message: Uint8Array): void {
    const { client, cursor, meta, method } = question
    const key = `${client} ${method} ${question.isOurs === true}`
    const pages = cursor === undefined ? new ListPages(kind) : this.#pages.get(key)
    this.#pages.delete(key)
    if (pages === undefined || (cursor !== undefined && pages.cursor !== cursor)) return
    const added = pages.add(message)
    if (added === "More") {
      if (this.#pages.size < PENDING_MAX) this.#pages.set(key, pages)
      if (question.isOurs === true) this.#toServer.push(this.#ask(method, { client, meta }, pages.cursor))
      return
    }
    if (added === "Broken") {
      if (this.#known.get(client)?.delete(method) === true) this.isChanged = true
      return
    }
    this.#answers(client).set(method, { isError: false, raw: pages.result, asOfMs: this.#options.nowMs() })
    this.isChanged = true
    const print = this.#print(pages.elements)
    const before = this.#told.get(method)
    // The client's own question has told it; ours has to say so.
    if (question.isOurs === true && before !== undefined && before.print !== print) this.#tell(method)
    this.#told.set(method, { client, meta, print, isCertain: true })
  }

  #tell(list: string): void {
    const method = Object.entries(KnownAnswers.CHANGES).find(([, lists]) => lists.includes(list))?.[0]
    if (method === undefined) return
    this.#toClient.push(...(this.#opened === undefined ? this.#news.changed(method) : [plain(method)]))
  }

  #ask(method: string, { client, meta }: Pick<Told, "client" | "meta">, cursor: string | undefined): Uint8Array {
    const id = JSON.stringify(`${OWN_ID}${++this.#count}`)
    this.#pending.set(RawRpc.idKey(id), { method, client, cursor, meta, isOurs: true })
    const bare = RawRpc.request(id, method, cursor === undefined ? "{}" : JSON.stringify({ cursor }))
    return meta === undefined ? bare : JsonEdit.set(bare, ["params"], [["_meta", meta]])
  }

  /** The same for the same elements, in whatever order and spelling. */
  #print(elements: ReadonlyArray<string>): string {
    const texts = elements.map((element) => CanonicalJson.encode(Json.parse(element) ?? null))
    return this.#options.hash(texts.toSorted().join("\n"))
  }
}

/** Whether an id is that of a request from here. */
export const isOurs = (id: string): boolean => RawRpc.idKey(id).startsWith(`s${OWN_ID}`)

interface Question {
  readonly method: string
  readonly client: string
  readonly cursor: string | undefined
  /** JSON text of what a modern client says of itself. */
  readonly meta: string | undefined
  readonly isOurs?: boolean
}

interface Told {
  readonly client: string
  readonly meta: string | undefined
  readonly print: string
  /** The server that answers now has said it itself. */
  isCertain: boolean
}

const newest = (answers: ReadonlyMap<string, KnownAnswers.Answer>): number =>
  Math.max(0, ...[...answers.values()].map(({ asOfMs }) => asOfMs))

/** What a request of our own for the same client says: nobody waits for progress of it. */
const metaOf = (message: Uint8Array): string | undefined => {
  const meta = JsonRpcPeek.member(message, META)
  return meta === undefined
    ? undefined
    : Bytes.toUtf8Lossy(JsonEdit.remove(Bytes.fromUtf8(meta), [], ["progressToken"]))
}

const OWN_ID = "dev.effect-pilot/list-"
/** Questions of one session whose answers are noted; others pass. */
const PENDING_MAX = 64
/** Kinds of clients of one service that are told apart. */
const CLIENTS_MAX = 4
/** A longer opening is not kept. */
const OPENING_CHARACTERS_MAX = 65_536
