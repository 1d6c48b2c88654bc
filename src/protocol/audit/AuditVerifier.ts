/**
 * Reads an audit log from its first line to its last, and finds where it is not what was written: changed, left out, put
 * in, moved, cut off. What stands behind the last checkpoint is only chained: whoever can write the file can replace it.
 *
 * Mutable: one for each log.
 */
import * as Bytes from "../../core/data/Bytes.ts"
import * as Json from "../../core/data/Json.ts"
import * as AuditLine from "./AuditLine.ts"

/** The cryptography that it needs. */
export interface Verification {
  readonly sha256: (bytes: Uint8Array) => Uint8Array
  readonly verify: (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean
  /** Whose signatures count, by key in base64; absent: those of the first checkpoint's, and what was found says whose. */
  readonly accepts?: ((publicKey: string) => boolean) | undefined
  /**
   * The keys that the node has had, the oldest first and the present one last: none of them signs after a later one, since it
   * may have been replaced because somebody else has it, and the last of them signs the end.
   */
  readonly keys?: ReadonlyArray<string> | undefined
}

/** What is wrong, and where. Lines of a file begin with 1. */
export interface Broken {
  readonly file: string
  readonly line: number
  readonly detail: string
}

/** What was found. */
export interface Found {
  readonly lines: number
  readonly firstSeq: number
  readonly lastSeq: number
  readonly lastHash: string
  /** Behind the last checkpoint, so chained and not signed. */
  readonly unsigned: number
  readonly checkpoints: number
  /** Base64, of the last checkpoint. */
  readonly publicKey: string | undefined
  /** Entries of which only the number is kept. */
  readonly lost: number
  readonly suppressed: number
  readonly repaired: number
  /** The first thing that is wrong. */
  readonly broken: Broken | undefined
}

/** Reads one log. */
export class AuditVerifier {
  readonly #verification: Verification
  #file = ""
  #line = 0
  #lines = 0
  #firstSeq = 0
  #firstPrevious = ""
  #seq = 0
  #hash = AuditLine.ORIGIN
  #unsigned = 0
  #checkpoints = 0
  #publicKey: string | undefined
  /** Of the newest key that has signed, among those of the node. */
  #rank = -1
  #lost = 0
  #suppressed = 0
  #repaired = 0
  /** What files that were removed ended with, by the number of their last line. */
  readonly #pruned = new Map<number, string>()
  #broken: Broken | undefined
  /** Hashes of lines that somebody else vouches for, by their numbers. */
  readonly #expected: ReadonlyMap<number, string>

  /** `expected`: what lines must be there, by number, with their hashes. */
  constructor(verification: Verification, expected: ReadonlyMap<number, string> = new Map()) {
    this.#verification = verification
    this.#expected = expected
  }

  /** Whether to read on: nothing is wrong yet. */
  get isWhole(): boolean {
    return this.#broken === undefined
  }

  /** The lines that follow are in this file. */
  file(name: string): void {
    this.#file = name
    this.#line = 0
  }

  /** The next line, without its newline. */
  line(text: string): void {
    this.#line++
    if (this.#broken !== undefined) return
    const line = AuditLine.decode(text)
    if (line === undefined) return this.#wrong("not a line of an audit log")
    if (this.#lines === 0) {
      this.#firstSeq = line.seq
      this.#firstPrevious = line.previous
      if (line.seq === 1 && line.previous !== AuditLine.ORIGIN) return this.#wrong("the first line follows another one")
    } else if (line.seq !== this.#seq + 1)
      return this.#wrong(`number ${line.seq} follows ${this.#seq}: something was taken out, put in or moved`)
    else if (line.previous !== this.#hash)
      return this.#wrong(
        `it does not follow from line number ${this.#seq}: that one was changed, or another file put in`
      )
    this.#lines++
    this.#seq = line.seq
    this.#hash = Bytes.toHex(this.#verification.sha256(Bytes.fromUtf8(text)))
    this.#unsigned++
    this.#own(line)
    const expected = this.#expected.get(line.seq)
    if (expected !== undefined && expected !== this.#hash)
      this.#wrong("it is another line than the one that was signed or kept elsewhere")
  }

  /** What was found, when all lines were given. */
  finish(): Found {
    if (this.#broken === undefined) this.#finishWhole()
    return {
      lines: this.#lines,
      firstSeq: this.#firstSeq,
      lastSeq: this.#seq,
      lastHash: this.#hash,
      unsigned: this.#unsigned,
      checkpoints: this.#checkpoints,
      publicKey: this.#publicKey,
      lost: this.#lost,
      suppressed: this.#suppressed,
      repaired: this.#repaired,
      broken: this.#broken
    }
  }

  #finishWhole(): void {
    for (const seq of this.#expected.keys()) {
      if (seq > this.#seq)
        return this.#wrong(`the end is missing: line number ${seq} was signed, the last is ${this.#seq}`)
      if (seq < this.#firstSeq && this.#lines > 0) return this.#wrong(`line number ${seq} is missing`)
    }
    const { keys = [] } = this.#verification
    if (this.#rank >= 0 && this.#rank < keys.length - 1)
      return this.#wrong("the end is signed by a key that this node has replaced, and not by its present one")
    if (this.#lines === 0 || this.#firstSeq === 1) return
    if (this.#pruned.get(this.#firstSeq - 1) !== this.#firstPrevious) {
      this.#line = 1
      this.#wrong(
        `the beginning is missing: the log starts with number ${this.#firstSeq}, and did not remove what was before`
      )
    }
  }

  #own({ facts, kind, previous, seq, time }: AuditLine.Line): void {
    switch (kind) {
      case "checkpoint":
        return this.#checkpoint({ seq, time, previous }, facts)
      case "pruned":
        this.#pruned.set(Json.integer(facts, "through"), Json.string(facts, "head"))
        return
      case "lost":
        this.#lost += Json.integer(facts, "count")
        return
      case "suppressed":
        this.#suppressed += Json.integer(facts, "count")
        return
      case "repaired":
        this.#repaired++
        return
      case "broken":
        return this.#wrong(`when the node started here: ${Json.string(facts, "detail")}`)
    }
  }

  #checkpoint(place: AuditLine.Place, facts: Json.JsonObject): void {
    const publicKey = Json.string(facts, "publicKey")
    const [key, signature] = [Bytes.fromBase64(publicKey), Bytes.fromBase64(Json.string(facts, "signature"))]
    const { accepts = (other: string) => (this.#publicKey ?? other) === other } = this.#verification
    const rank = this.#rankOf(publicKey)
    if (rank < 0 && !accepts(publicKey)) return this.#wrong("a checkpoint signed by another key")
    if (rank >= 0 && rank < this.#rank) return this.#wrong("a checkpoint signed by a key that had been replaced before")
    if (key === undefined || signature === undefined) return this.#wrong("a checkpoint without a signature")
    if (!this.#verification.verify(key, AuditLine.checkpointText(place), signature))
      return this.#wrong("a checkpoint whose signature is wrong")
    this.#publicKey = publicKey
    this.#rank = Math.max(this.#rank, rank)
    this.#checkpoints++
    this.#unsigned = 0
  }

  #rankOf(publicKey: string): number {
    return this.#verification.keys?.indexOf(publicKey) ?? -1
  }

  #wrong(detail: string): void {
    this.#broken ??= { file: this.#file, line: this.#line, detail }
  }
}
