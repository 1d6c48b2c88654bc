import { layer } from "@effect/vitest"
import { Layer } from "effect"
import * as StorageEngine from "../../support/StorageEngine.ts"
import * as TaskStoreSuite from "../../support/TaskStoreSuite.ts"

layer(Layer.empty)("TaskStore", (it) => TaskStoreSuite.run(it, StorageEngine.sqlite))
