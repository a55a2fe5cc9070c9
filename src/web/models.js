// Keeps the list of models fresh: loads it, and while the backend is down tries again by itself, ever more slowly.

import { ApiError } from './api.js';

const FIRST_RETRY_MS = 4000;
const LONGEST_RETRY_MS = 30000;

/** `latest` is the tag that a name without one means. */
export function shortName(name) {
	return name.replace(/:latest$/, '');
}

export class Models {
	#store;
	#api;
	#askForKey;
	#delay = FIRST_RETRY_MS;
	#timer = null;
	#loading = null;

	constructor(store, api, askForKey) {
		this.#store = store;
		this.#api = api;
		this.#askForKey = askForKey;
	}

	/** Loads the list; calls that come while one is under way share it. */
	load() {
		this.#loading ??= this.#load().finally(() => {
			this.#loading = null;
		});
		return this.#loading;
	}

	async #load() {
		clearTimeout(this.#timer);
		try {
			const { list, default: preferred } = await this.#fetch();
			this.#delay = FIRST_RETRY_MS;
			this.#store.setModels({ state: list.length > 0 ? 'ready' : 'empty', list, default: preferred, error: '' });
			if (list.length === 0) this.#loadLater();
		} catch (error) {
			this.#store.setModels({ state: error.status === 401 ? 'locked' : 'down', list: [], error: error.message });
			if (error.status !== 401) this.#loadLater();
		}
	}

	async #fetch() {
		for (let tries = 0; ; tries++) {
			try {
				return await this.#api.models();
			} catch (error) {
				const wantsKey = error instanceof ApiError && error.status === 401;
				if (!wantsKey || !(await this.#askForKey(tries > 0))) throw error;
			}
		}
	}

	#loadLater() {
		this.#timer = setTimeout(() => (document.hidden ? this.#loadLater() : this.load()), this.#delay);
		this.#delay = Math.min(this.#delay * 2, LONGEST_RETRY_MS);
	}
}
