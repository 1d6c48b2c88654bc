import { assert, describe, it } from "@effect/vitest"
import { Arbitrary } from "effect"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import { FileReceiver } from "../../../src/protocol/exchange/FileReceiver.ts"
import { FIRST_ANSWER_MS, FileSender, STEP_MS } from "../../../src/protocol/exchange/FileSender.ts"
import { type FileFacts, FileStream } from "../../../src/protocol/wire/FileStream.ts"
import * as Arb from "../../support/Arbitraries.ts"

const CHUNK = 10
const contentOf = (sizeBytes: number) => Uint8Array.from({ length: sizeBytes }, (_, index) => (index * 7) % 251)
const factsOf = (content: Uint8Array): FileFacts => ({
  sizeBytes: content.length,
  digest: new Uint8Array(32).fill(content.length % 256),
  chunkBytes: CHUNK,
  name: "x"
})

/** A receiver whose disk is an array. */
class Disk {
  readonly receiver = new FileReceiver()
  stored: Array<number> = []
  isComplete = false

  /** Does what the receiver says; what it sends. */
  drain(content: Uint8Array): Array<FileStream> {
    const sent: Array<FileStream> = []
    for (let output = this.receiver.next(); output !== undefined; output = this.receiver.next()) {
      if (output._tag === "Send") sent.push(output.message)
      if (output._tag === "Open") this.receiver.opened(this.stored.length)
      if (output._tag === "Write") {
        assert.strictEqual(output.offset, this.stored.length, "a gap on the disk")
        this.stored.push(...output.bytes)
      }
      if (output._tag === "Verify") {
        this.isComplete = Bytes.equals(Uint8Array.from(this.stored), content)
        this.receiver.verified(this.isComplete, this.isComplete ? "ok" : "the content does not match its digest")
      }
    }
    return sent
  }
}

/** Messages of the sender while its window lets it. */
const emit = (sender: FileSender, content: Uint8Array, countMax: number): Array<FileStream> => {
  const messages: Array<FileStream> = []
  while (messages.length < countMax) {
    const output = sender.next()
    if (output === undefined) break
    if (output._tag === "Send") messages.push(output.message)
    else {
      const bytes = content.subarray(output.offset, output.offset + output.sizeBytes)
      messages.push(FileStream.Chunk({ id: factsOf(content).digest.subarray(0, 16), offset: output.offset, bytes }))
    }
  }
  return messages
}

describe("FileSender and FileReceiver", () => {
  it.prop(
    "every byte arrives once and in order, over any number of broken streams (node §4.4)",
    {
      sizeBytes: Arb.oneOf(Arb.integer(0, 200), Arb.element(0, 1, 9, 10, 11, 20, 160, 161)),
      windowChunks: Arb.integer(1, 6),
      breaks: Arbitrary.array(Arb.integer(0, 12), { maxLength: 6 }),
      lost: Arb.integer(0, 30)
    },
    ({ breaks, lost, sizeBytes, windowChunks }) => {
      const content = contentOf(sizeBytes)
      const disk = new Disk()
      const budgets = [...breaks, Number.POSITIVE_INFINITY]
      for (const budget of budgets) {
        const sender = new FileSender(factsOf(content), 0, windowChunks * CHUNK)
        let steps = 0
        while (sender.outcome === undefined && steps < budget) {
          const messages = emit(sender, content, 1)
          assert.isTrue(messages.length > 0 || steps > 0, "neither has anything to say")
          let answers: Array<FileStream> = []
          for (const message of messages) {
            disk.receiver.receive(message)
            answers = [...answers, ...disk.drain(content)]
          }
          for (const answer of answers) sender.receive(answer, steps)
          steps++
          if (steps > 1000) assert.fail("does not end")
        }
        if (sender.outcome !== undefined) {
          assert.strictEqual(sender.outcome._tag, "Stored")
          assert.strictEqual(sender.ackedBytes, sizeBytes)
          break
        }
        // The stream breaks: what was under way is let go, and of what was written the end may be lost.
        disk.receiver.refused("the stream broke")
        disk.drain(content)
        disk.stored = disk.stored.slice(0, Math.max(0, disk.stored.length - lost))
      }
      assert.isTrue(disk.isComplete)
    }
  )

  it("keeps at most a window on the way", () => {
    const content = contentOf(1000)
    const sender = new FileSender(factsOf(content), 0, 4 * CHUNK)
    const id = factsOf(content).digest.subarray(0, 16)
    assert.strictEqual(emit(sender, content, 100)[0]?._tag, "Init")
    assert.strictEqual(emit(sender, content, 100).length, 0)
    sender.receive(FileStream.InitAck({ id, offset: 500 }), 1)
    const first = emit(sender, content, 100)

    assert.deepStrictEqual(
      first.map((message) => (message._tag === "Chunk" ? message.offset : -1)),
      [500, 510, 520, 530]
    )
    sender.receive(FileStream.Ack({ id, offset: 520 }), 2)
    assert.strictEqual(emit(sender, content, 100).length, 2)
  })

  it("gives up on a receiver that says nothing: after 5 s at first, after 60 s later (node §4.4)", () => {
    const content = contentOf(100)
    const id = factsOf(content).digest.subarray(0, 16)
    const silent = new FileSender(factsOf(content), 1000)
    silent.timeout(1000 + FIRST_ANSWER_MS - 1)
    assert.isUndefined(silent.outcome)
    silent.timeout(silent.deadlineMs)
    assert.deepInclude(silent.outcome ?? {}, { _tag: "Silent", isFirst: true })
    assert.strictEqual(silent.deadlineMs, Number.POSITIVE_INFINITY)

    const slow = new FileSender(factsOf(content), 0)
    slow.receive(FileStream.InitAck({ id, offset: 0 }), 100)
    assert.strictEqual(slow.deadlineMs, 100 + STEP_MS)
    emit(slow, content, 100)
    slow.receive(FileStream.Ack({ id, offset: 10 }), 200)
    assert.strictEqual(slow.deadlineMs, 200 + STEP_MS)
    slow.receive(FileStream.Ack({ id, offset: 10 }), 300)
    assert.strictEqual(slow.deadlineMs, 200 + STEP_MS)
  })

  it("does not believe a receiver that has more than there is, or than was sent", () => {
    const content = contentOf(100)
    const id = factsOf(content).digest.subarray(0, 16)
    const make = () => new FileSender(factsOf(content), 0, 2 * CHUNK)
    const over = make()
    over.receive(FileStream.InitAck({ id, offset: 101 }), 0)
    assert.strictEqual(over.outcome?._tag, "Broken")
    const early = make()
    early.receive(FileStream.InitAck({ id, offset: 0 }), 0)
    early.receive(FileStream.Ack({ id, offset: 50 }), 0)
    assert.strictEqual(early.outcome?._tag, "Broken")
    const complete = make()
    complete.receive(FileStream.InitAck({ id, offset: 0 }), 0)
    complete.receive(FileStream.Complete({ id, isStored: true, text: "" }), 0)
    assert.strictEqual(complete.outcome?._tag, "Broken")
  })

  it("does not believe a sender that leaves gaps, sends too much, ends too early, or names another id", () => {
    const content = contentOf(30)
    const file = factsOf(content)
    const id = file.digest.subarray(0, 16)
    const refusals = (messages: ReadonlyArray<FileStream>) => {
      const disk = new Disk()
      return messages
        .flatMap((message) => {
          disk.receiver.receive(message)
          return disk.drain(content)
        })
        .flatMap((sent) => (sent._tag === "Complete" && !sent.isStored ? [sent.text] : []))
    }
    const init = FileStream.Init({ id, file })
    const chunk = (offset: number, sizeBytes: number) =>
      FileStream.Chunk({ id, offset, bytes: content.subarray(offset, offset + sizeBytes) })

    assert.strictEqual(refusals([init, chunk(10, 10)]).length, 1)
    assert.strictEqual(refusals([init, FileStream.Chunk({ id, offset: 0, bytes: new Uint8Array(31) })]).length, 1)
    assert.strictEqual(refusals([init, chunk(0, 10), FileStream.Done({ id })]).length, 1)
    assert.strictEqual(refusals([FileStream.Init({ id: new Uint8Array(16).fill(99), file })]).length, 1)
    assert.deepStrictEqual(refusals([chunk(0, 10), FileStream.Done({ id }), FileStream.Ack({ id, offset: 3 })]), [])
    assert.deepStrictEqual(refusals([init, chunk(0, 10), chunk(5, 10), chunk(15, 15), FileStream.Done({ id })]), [])
  })

  it.prop(
    "a receiver of any messages writes without gaps, and never beyond what was announced",
    { messages: Arbitrary.array(Arb.fileStream, { maxLength: 12 }) },
    ({ messages }) => {
      const receiver = new FileReceiver()
      let expected = 0
      let sizeBytes = 0
      for (const message of messages) {
        receiver.receive(message)
        for (let output = receiver.next(); output !== undefined; output = receiver.next()) {
          if (output._tag === "Open") {
            sizeBytes = output.file.sizeBytes
            expected = 0
            receiver.opened(0)
          }
          if (output._tag === "Write") {
            assert.strictEqual(output.offset, expected)
            expected += output.bytes.length
            assert.isAtMost(expected, sizeBytes)
          }
          if (output._tag === "Verify") receiver.verified(true, "")
        }
      }
    }
  )
})
