/**
 * The pages of one list, joined in order (mcp §6.9) as the raw texts that they came as. Mutable inside the memory that owns
 * it; bounded by `LIST_BYTES_MAX`.
 */
import * as Bytes from "../../core/data/Bytes.ts"
import * as JsonEdit from "./JsonEdit.ts"
import * as JsonRpcPeek from "./JsonRpcPeek.ts"
import * as JsonSplice from "./JsonSplice.ts"

/** A list whose last page has not come. */
export class ListPages {
  readonly #kind: string
  readonly #elements: Array<Uint8Array> = []
  #first: string | undefined
  #sizeBytes = 0
  /** Of the page that is wanted next; undefined for the first. */
  cursor: string | undefined

  /** `kind` is what the list is called in its result. */
  constructor(kind: string) {
    this.#kind = kind
  }

  /** The next page. `Whole`: it was the last. `Broken`: it is no page, or too much. */
  add(answer: Uint8Array): "Whole" | "More" | "Broken" {
    const list = JsonRpcPeek.member(answer, ["result", this.#kind])
    const elements = list === undefined ? undefined : JsonSplice.elements(Bytes.fromUtf8(list))
    if (elements === undefined) return "Broken"
    this.#first ??= JsonRpcPeek.member(answer, ["result"])
    this.#sizeBytes += elements.reduce((sum, { length }) => sum + length, 0)
    if (this.#sizeBytes > LIST_BYTES_MAX) return "Broken"
    this.#elements.push(...elements)
    this.cursor = JsonRpcPeek.string(answer, ["result", "nextCursor"])
    return this.cursor === undefined ? "Whole" : "More"
  }

  /** The elements so far, each JSON text. */
  get elements(): ReadonlyArray<string> {
    return this.#elements.map(Bytes.toUtf8Lossy)
  }

  /** The first page's result with the elements of all, as JSON text. */
  get result(): string {
    const joined = `[${this.elements.join(",")}]`
    const first = JsonEdit.remove(Bytes.fromUtf8(this.#first ?? "{}"), [], ["nextCursor"])
    return Bytes.toUtf8Lossy(JsonEdit.set(first, [], [[this.#kind, joined]]))
  }
}

/** A longer list is not kept. */
const LIST_BYTES_MAX = 1_048_576
