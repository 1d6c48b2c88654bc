/** How V8 weighs the memory of buffers, for whatever moves many of them. */
import process from "node:process"
import { setFlagsFromString } from "node:v8"

/**
 * Sets one flag of V8 for the whole process: by default it collects all garbage whenever 32 MB of buffers have come and gone,
 * which at some hundred megabytes a second is most of what the process does.
 */
export const countAsHeap = (): void => {
  // Older versions do not know it, and would say so on standard error.
  if (Number.parseInt(process.versions.node, 10) >= 24) setFlagsFromString(BUFFERS_COUNT_AS_HEAP)
}

/**
 * For a process that does little but move buffers: all garbage is collected when the heap with its buffers has grown fourfold,
 * which is also the most that V8 allows itself when collecting is quick. On a busy machine it is slow, and V8 then collects
 * whenever some 8 MB have come and gone: of 256 MiB through two daemons, in every second run one of them made 29 full
 * collections, and now one.
 */
export const growFreely = (): void => setFlagsFromString(HEAP_GROWS_FOURFOLD)

/** Buffers are weighed against the size of the heap. */
const BUFFERS_COUNT_AS_HEAP = "--external-memory-accounted-in-global-limit"
const HEAP_GROWS_FOURFOLD = "--heap-growing-percent=300"
