/**
 * The sender of one file in chunks (node §4.4): Init, then chunks within a window from where the receiver wants them, then
 * Done, and the receiver's word that the file is stored.
 *
 * ```
 * opening --InitAck--> sending --all acknowledged--> finishing --Complete--> ended
 *    any --Abort, Complete without success, silence, another peer's answer--> ended
 * ```
 */
import { Data } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import { type FileFacts, FileStream, idOf } from "../wire/FileStream.ts"

/** What to do next. A chunk's bytes are read by whoever sends it. */
export type Output = Data.TaggedEnum<{
  Send: { readonly message: FileStream }
  SendChunk: { readonly offset: number; readonly sizeBytes: number }
}>
/** Constructors and matchers of `Output`. */
export const Output = Data.taggedEnum<Output>()

/** How it ended. */
export type Outcome = Data.TaggedEnum<{
  /** The receiver has it on disk; `text` is what it said. */
  Stored: { readonly text: string }
  Refused: { readonly text: string }
  /** The receiver said nothing for too long, at first or later. Trying again on another stream resumes. */
  Silent: { readonly isFirst: boolean }
  /** The receiver broke the rules. */
  Broken: { readonly detail: string }
}>
/** Constructors and matchers of `Outcome`. */
export const Outcome = Data.taggedEnum<Outcome>()

/** Mutable, with one owner: feed it with `receive` and `timeout`, take `next` until there is nothing. */
export class FileSender {
  readonly #file: FileFacts
  readonly #id: Uint8Array
  readonly #windowBytes: number
  readonly #outputs: Array<Output>
  #state: "opening" | "sending" | "finishing" | "ended" = "opening"
  #outcome: Outcome | undefined
  /** Of the next chunk; all before it is sent or was there. */
  #nextOffset = 0
  #ackedOffset = 0
  #deadlineMs: number

  constructor(file: FileFacts, nowMs: number, windowBytes = WINDOW_BYTES) {
    this.#file = file
    this.#id = idOf(file.digest)
    this.#windowBytes = Math.max(windowBytes, file.chunkBytes)
    this.#outputs = [Output.Send({ message: FileStream.Init({ id: this.#id, file }) })]
    this.#deadlineMs = nowMs + FIRST_ANSWER_MS
  }

  /** Set once it is over. */
  get outcome(): Outcome | undefined {
    return this.#outcome
  }

  /** Bytes that the receiver has, as far as it said. */
  get ackedBytes(): number {
    return this.#ackedOffset
  }

  /** When to call `timeout`. */
  get deadlineMs(): number {
    return this.#state === "ended" ? Number.POSITIVE_INFINITY : this.#deadlineMs
  }

  /** A message of the receiver. Those of another transfer are ignored. */
  receive(message: FileStream, nowMs: number): void {
    if (this.#state === "ended" || !Bytes.equals(message.id, this.#id)) return
    switch (message._tag) {
      case "InitAck":
        return this.#resume(message.offset, nowMs)
      case "Ack":
        return this.#acknowledge(message.offset, nowMs)
      case "Complete":
        return this.#end(message.isStored ? this.#completed(message.text) : Outcome.Refused({ text: message.text }))
      case "Abort":
        return this.#end(Outcome.Refused({ text: message.text }))
      default:
        // A sender is sent no Init, Chunk or Done; one that comes is no reason to give up.
        return
    }
  }

  /** The deadline came. Before it nothing happens. */
  timeout(nowMs: number): void {
    if (nowMs >= this.deadlineMs) this.#end(Outcome.Silent({ isFirst: this.#state === "opening" }))
  }

  /** What to send now, one after the other. Being asked again means that the one before is on its way. */
  next(): Output | undefined {
    const output = this.#outputs.shift()
    if (output !== undefined) return output
    if (this.#state !== "sending") return undefined
    const { chunkBytes, sizeBytes } = this.#file
    const room = this.#ackedOffset + this.#windowBytes - this.#nextOffset
    const left = sizeBytes - this.#nextOffset
    if (left > 0 && room >= Math.min(chunkBytes, left)) {
      const chunk = Output.SendChunk({ offset: this.#nextOffset, sizeBytes: Math.min(chunkBytes, left) })
      this.#nextOffset += chunk.sizeBytes
      return chunk
    }
    if (left > 0) return undefined
    this.#state = "finishing"
    return Output.Send({ message: FileStream.Done({ id: this.#id }) })
  }

  #resume(offset: number, nowMs: number): void {
    if (this.#state !== "opening") return
    if (offset > this.#file.sizeBytes) return this.#end(Outcome.Broken({ detail: "it has more than there is" }))
    this.#state = "sending"
    this.#nextOffset = this.#ackedOffset = offset
    this.#deadlineMs = nowMs + STEP_MS
  }

  #acknowledge(offset: number, nowMs: number): void {
    if (this.#state === "opening") return
    if (offset > this.#nextOffset) return this.#end(Outcome.Broken({ detail: "it acknowledged what was not sent" }))
    if (offset <= this.#ackedOffset) return
    this.#ackedOffset = offset
    this.#deadlineMs = nowMs + STEP_MS
  }

  /** A receiver that has the file already may say so at any time; one that lacks bytes is not believed. */
  #completed(text: string): Outcome {
    if (this.#nextOffset < this.#file.sizeBytes && this.#state !== "opening")
      return Outcome.Broken({ detail: "it calls complete what was not sent" })
    this.#ackedOffset = this.#file.sizeBytes
    return Outcome.Stored({ text })
  }

  #end(outcome: Outcome): void {
    this.#state = "ended"
    this.#outcome = outcome
    this.#outputs.length = 0
  }
}

/** node §4.4. */
export const FIRST_ANSWER_MS = 5_000
/** node §4.4: between two signs of life of a receiver. */
export const STEP_MS = 60_000
/**
 * Bytes sent and not acknowledged. The reference's sixteen chunks are too few for a fast path of 100 ms; a receiver cannot
 * tell, because the stream's own window holds back what it does not read.
 */
export const WINDOW_BYTES = 8 << 20
