/**
 * The receiver of files in chunks on one stream (node §4.4), one after the other.
 *
 * ```
 * idle --Init--> opening --opened--> receiving --Done, all there--> verifying --verified--> idle
 *                   |                    |--Abort, broken rule--> idle (what came is kept)
 *                   `--refused--> idle
 * ```
 *
 * It says what to write where; whoever owns it writes, in order, and tells the results of opening and verifying. What is
 * acknowledged by Ack has been written; what is acknowledged by Complete is on disk.
 */
import { Data } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import { type FileFacts, FileStream, idOf } from "../wire/FileStream.ts"

/** What to do, in order. */
export type Output = Data.TaggedEnum<{
  /** Look for what is there of it, then call `opened` or `refused`. */
  Open: { readonly file: FileFacts }
  Write: { readonly offset: number; readonly bytes: Uint8Array }
  /** Compare the digest and make it permanent, then call `verified`. */
  Verify: { readonly file: FileFacts }
  /** Let go of the file; what was written stays for a later attempt. */
  Leave: {}
  Send: { readonly message: FileStream }
}>
/** Constructors and matchers of `Output`. */
export const Output = Data.taggedEnum<Output>()

/** Mutable, with one owner. */
export class FileReceiver {
  readonly #outputs: Array<Output> = []
  #state: "idle" | "opening" | "receiving" | "verifying" = "idle"
  #file: FileFacts = NO_FILE
  #id: Uint8Array = NO_FILE.digest
  /** All before it was given to be written. */
  #offset = 0

  /** Whether a transfer is under way. */
  get isActive(): boolean {
    return this.#state !== "idle"
  }

  /** Bytes of the file that are there. */
  get offset(): number {
    return this.#offset
  }

  /** A message of the sender. */
  receive(message: FileStream): void {
    switch (message._tag) {
      case "Init":
        return this.#begin(message.id, message.file)
      case "Chunk":
        return this.#chunk(message)
      case "Done":
        return this.#done(message.id)
      case "Abort":
        return this.#isCurrent(message.id) ? this.#leave() : undefined
      default:
        return
    }
  }

  /** The next thing to do. */
  next(): Output | undefined {
    return this.#outputs.shift()
  }

  /** The answer to `Open`: what is there already, from the beginning. */
  opened(offset: number): void {
    if (this.#state !== "opening") return
    this.#state = "receiving"
    this.#offset = Math.min(offset, this.#file.sizeBytes)
    this.#send(FileStream.InitAck({ id: this.#id, offset: this.#offset }))
  }

  /** The other answer to `Open`, and what to do when writing fails. */
  refused(text: string): void {
    if (this.#state === "idle") return
    const id = this.#id
    this.#leave()
    this.#send(FileStream.Complete({ id, isStored: false, text }))
  }

  /** The answer to `Verify`. */
  verified(isStored: boolean, text: string): void {
    if (this.#state !== "verifying") return
    this.#state = "idle"
    this.#send(FileStream.Complete({ id: this.#id, isStored, text }))
  }

  #begin(id: Uint8Array, file: FileFacts): void {
    // A sender that begins anew has given up what it sent before.
    if (this.isActive) this.#leave()
    this.#id = id
    this.#file = file
    this.#offset = 0
    this.#state = "opening"
    if (!Bytes.equals(id, idOf(file.digest))) return this.refused("the transfer id is not the digest's")
    this.#outputs.push(Output.Open({ file }))
  }

  #chunk({ bytes, id, offset }: Extract<FileStream, { readonly _tag: "Chunk" }>): void {
    if (!this.#isCurrent(id) || this.#state !== "receiving") return
    const end = offset + bytes.length
    if (offset > this.#offset) return this.refused(`bytes from ${this.#offset} on are missing`)
    if (end > this.#file.sizeBytes) return this.refused("more bytes than were announced")
    if (end > this.#offset) {
      this.#outputs.push(Output.Write({ offset: this.#offset, bytes: bytes.subarray(this.#offset - offset) }))
      this.#offset = end
    }
    this.#send(FileStream.Ack({ id, offset: this.#offset }))
  }

  #done(id: Uint8Array): void {
    if (!this.#isCurrent(id) || this.#state !== "receiving") return
    if (this.#offset < this.#file.sizeBytes) return this.refused(`bytes from ${this.#offset} on are missing`)
    this.#state = "verifying"
    this.#outputs.push(Output.Verify({ file: this.#file }))
  }

  #isCurrent(id: Uint8Array): boolean {
    return this.isActive && Bytes.equals(id, this.#id)
  }

  #leave(): void {
    this.#state = "idle"
    // What was not yet asked for is not needed any more; what was asked to be written stays useful.
    const kept = this.#outputs.filter(({ _tag }) => _tag === "Write" || _tag === "Send")
    this.#outputs.splice(0, this.#outputs.length, ...kept, Output.Leave())
  }

  #send(message: FileStream): void {
    this.#outputs.push(Output.Send({ message }))
  }
}

const NO_FILE: FileFacts = { sizeBytes: 0, digest: Bytes.empty, chunkBytes: 0, name: "" }
