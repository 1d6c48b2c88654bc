/**
 * Tasks on port 1003 (node §6.1): JSON in frames with the header of `DataFrame`.
 *
 * | kind | name | from | answered |
 * |---|---|---|---|
 * | 1 | Submit | submitter | on the same stream by another frame of kind 1: taken (200) or not (400) |
 * | 3 | Status | executor; of ours the submitter too, to cancel | of ours by Receipt |
 * | 4 | Results | executor | of ours by Receipt |
 * | 0x45500010 | Receipt | whoever has stored what it names | |
 *
 * The reference reads one frame per stream and closes it; kind 2 of it is never sent. What is ours stands in the member `ep`,
 * which the reference ignores: a submission with it says that its sender knows receipts, and so does its answer. A receipt
 * means that the letter is on disk.
 */
import { Result } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import * as GoJson from "../../core/data/GoJson.ts"
import * as Json from "../../core/data/Json.ts"
import * as Address from "./Address.ts"
import * as DataFrame from "./DataFrame.ts"
import * as DecodeError from "./DecodeError.ts"

/** Where tasks are sent to (wire §2). */
export const PORT = Address.Port(1003)

/** Kinds of frames. */
export const Kind = { Submit: 1, Status: 3, Results: 4, Receipt: 0x45500010 } as const

/** Everything that is said about tasks. */
export type TaskFrame = Submit | Answer | Status | Results | Receipt

/** A task for somebody. */
export interface Submit {
  readonly _tag: "Submit"
  readonly id: string
  readonly description: string
  /** As their sender wrote them; nobody believes them (node §6.2). */
  readonly from: string
  readonly to: string
  readonly ours: Wish | undefined
}

/** What our submissions carry beyond the reference's. */
export interface Wish {
  /** Which handler it is for; empty for whoever asks first. */
  readonly kind: string
  /** Milliseconds from its arrival until it is worth nothing; 0 for the receiver's default. */
  readonly lifeMs: number
  /** Larger ones are done first; 0 for most. */
  readonly priority: number
}

/** Whether a task was taken. */
export interface Answer {
  readonly _tag: "Answer"
  readonly id: string
  readonly isTaken: boolean
  readonly message: string
  /** Set by our nodes: they know receipts. */
  readonly isOurs: boolean
}

/** Where a task stands. */
export interface Status {
  readonly _tag: "Status"
  readonly id: string
  readonly status: string
  readonly justification: string
  readonly ours: Letter | undefined
}

/** What our status updates and results carry. */
export interface Letter {
  /** Counts up with each change of the task at its sender; what is not above the last one is old. */
  readonly revision: number
  /** JSON text of a handler's last word on how far it is; empty for none. */
  readonly progress: string
}

/** What came out. */
export interface Results {
  readonly _tag: "Results"
  readonly id: string
  readonly result: Outcome
  /** RFC 3339, whole seconds. */
  readonly completedAt: string
  readonly times: Times
  readonly ours: Letter | undefined
}

/** A text, or a file with its name. */
export type Outcome =
  | { readonly _tag: "Text"; readonly text: string }
  | { readonly _tag: "File"; readonly name: string; readonly content: Uint8Array }

/** Milliseconds until it was accepted, from being first in the queue until it was begun, and from then on (node §6.3). */
export interface Times {
  readonly idleMs: number
  readonly stagedMs: number
  readonly cpuMs: number
}

/** A letter of ours is on disk. */
export interface Receipt {
  readonly _tag: "Receipt"
  readonly id: string
  readonly revision: number
}

/** The whole frame, to the byte as the reference writes what it knows. */
export const encode = (self: TaskFrame): Uint8Array =>
  DataFrame.encode(kindOf(self), Bytes.fromUtf8(GoJson.encodeOrdered(members(self))))

/** Reads a frame. `isAnswer` tells what kind 1 is: the end that submitted reads answers. */
export const decode = (
  { kind, payload }: DataFrame.DataFrame,
  isAnswer: boolean
): Result.Result<TaskFrame, DecodeError.DecodeError> => {
  const text = Bytes.toUtf8(payload)
  const value = text === undefined ? undefined : Json.parseObject(text)
  if (value === undefined) return DecodeError.malformed("JSON")
  const id = Json.string(value, "task_id")
  const ours = Json.member(value, "ep")
  const extension = Json.isObject(ours) && Json.integer(ours, "v") === VERSION ? ours : undefined
  switch (kind) {
    case Kind.Submit:
      return Result.succeed(isAnswer ? readAnswer(id, value, extension) : readSubmit(id, value, extension))
    case Kind.Status:
      return Result.succeed({
        _tag: "Status",
        id,
        status: Json.string(value, "status"),
        justification: Json.string(value, "justification"),
        ours: extension && readLetter(extension)
      })
    case Kind.Results:
      return readResults(id, value, extension)
    case Kind.Receipt:
      return Result.succeed({ _tag: "Receipt", id, revision: Json.unsigned(value, "revision", 32) })
    default:
      return DecodeError.unknownType(kind)
  }
}

/** Ids that may become names of files (node §6.1, better). */
export const isId = (text: string): boolean => /^[A-Za-z0-9_-]{1,64}$/.test(text)

/** A fresh id from 16 random bytes, as the reference writes them. */
export const idOf = (random: Uint8Array): string => {
  const hex = Bytes.toHex(random.subarray(0, 16))
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-")
}

const kindOf = (self: TaskFrame): number => (self._tag === "Answer" ? Kind.Submit : Kind[self._tag])

const members = (self: TaskFrame): Json.JsonObject => {
  switch (self._tag) {
    case "Submit": {
      const { description, from, id, ours, to } = self
      const ep = ours && { v: VERSION, kind: ours.kind, life_ms: ours.lifeMs, priority: ours.priority }
      return { task_id: id, task_description: description, from_addr: from, to_addr: to, ep }
    }
    case "Answer": {
      const { id, isOurs, isTaken, message } = self
      return { task_id: id, status: isTaken ? 200 : 400, message, ep: isOurs ? { v: VERSION } : undefined }
    }
    case "Status":
      return {
        task_id: self.id,
        status: self.status,
        justification: self.justification,
        ep: self.ours && letter(self.ours)
      }
    case "Results":
      return results(self)
    case "Receipt":
      return { task_id: self.id, revision: self.revision }
  }
}

const results = ({ completedAt, id, ours, result, times }: Results): Json.JsonObject => ({
  task_id: id,
  result_type: result._tag === "Text" ? "text" : "file",
  ...(result._tag === "Text"
    ? { result_text: result.text || undefined }
    : { filename: result.name || undefined, file_data: Bytes.toBase64(result.content) || undefined }),
  completed_at: completedAt,
  time_idle_ms: times.idleMs || undefined,
  time_staged_ms: times.stagedMs || undefined,
  time_cpu_ms: times.cpuMs || undefined,
  ep: ours && letter(ours)
})

const letter = ({ progress, revision }: Letter): Json.JsonObject => ({
  v: VERSION,
  revision,
  progress: progress || undefined
})

const readSubmit = (id: string, value: Json.JsonObject, extension: Json.JsonObject | undefined): Submit => ({
  _tag: "Submit",
  id,
  description: Json.string(value, "task_description"),
  from: Json.string(value, "from_addr"),
  to: Json.string(value, "to_addr"),
  ours: extension && {
    kind: Json.string(extension, "kind"),
    lifeMs: Math.max(0, Json.integer(extension, "life_ms")),
    priority: Math.max(-PRIORITY_MAX, Math.min(PRIORITY_MAX, Json.integer(extension, "priority")))
  }
})

const readAnswer = (id: string, value: Json.JsonObject, extension: Json.JsonObject | undefined): Answer => ({
  _tag: "Answer",
  id,
  isTaken: Json.integer(value, "status") === 200,
  message: Json.string(value, "message"),
  isOurs: extension !== undefined
})

const readLetter = (extension: Json.JsonObject): Letter => ({
  revision: Json.unsigned(extension, "revision", 32),
  progress: Json.string(extension, "progress")
})

const readResults = (
  id: string,
  value: Json.JsonObject,
  extension: Json.JsonObject | undefined
): Result.Result<Results, DecodeError.DecodeError> => {
  const isFile = Json.string(value, "result_type") === "file"
  const content = isFile ? Bytes.fromBase64(Json.string(value, "file_data")) : Bytes.empty
  if (content === undefined) return DecodeError.malformed("base64")
  return Result.succeed({
    _tag: "Results",
    id,
    result: isFile
      ? { _tag: "File", name: Json.string(value, "filename"), content }
      : { _tag: "Text", text: Json.string(value, "result_text") },
    completedAt: Json.string(value, "completed_at"),
    times: {
      idleMs: Json.integer(value, "time_idle_ms"),
      stagedMs: Json.integer(value, "time_staged_ms"),
      cpuMs: Json.integer(value, "time_cpu_ms")
    },
    ours: extension && readLetter(extension)
  })
}

/** Either way. */
export const PRIORITY_MAX = 1_000
/** Of what stands in `ep`. */
const VERSION = 1
