// Asks for answers: sends, stops, asks again, and turns what comes back into changes of the store.

import { ApiError } from './api.js';
import { announce } from './dom.js';

export class Chat {
	#store;
	#api;
	#askForKey;
	#controllers = new Map(); // conversation id -> AbortController

	/** `askForKey(wasRefused)` resolves with true when the user gave a key. */
	constructor(store, api, askForKey) {
		this.#store = store;
		this.#api = api;
		this.#askForKey = askForKey;
	}

	isRunning(id) {
		return this.#controllers.has(id);
	}

	/** Sends the user's text in the open conversation, or in a new one. */
	send(text) {
		const conversation = this.#store.active ?? this.#store.create(text);
		if (this.isRunning(conversation.id)) return;
		this.#store.addMessage(conversation, { role: 'user', content: text });
		this.#answer(conversation);
	}

	stop(id) {
		this.#controllers.get(id)?.abort();
	}

	/** Throws the last answer away and asks for another. */
	again(conversation) {
		if (!conversation || this.isRunning(conversation.id)) return;
		const last = conversation.messages.at(-1);
		if (last?.role === 'assistant') this.#store.removeMessage(conversation, last);
		this.#answer(conversation);
	}

	async #answer(conversation) {
		const { id } = conversation;
		const controller = new AbortController();
		const model = this.#store.currentModel;
		const messages = history(conversation);
		this.#controllers.set(id, controller);
		this.#store.setStream(id, { phase: 'waiting' });
		const begun = { role: 'assistant', content: '', model: model ?? undefined, status: 'streaming' };
		const message = this.#store.addMessage(conversation, begun);
		const answer = new Answer(message, (phase) => this.#store.setStream(id, phase));
		try {
			const last = await this.#ask({ model, messages, signal: controller.signal, onLine: (line) => {
				answer.take(line);
				this.#store.touchMessage(conversation, message);
			} });
			answer.finish(last);
			announce('The answer is ready.');
		} catch (error) {
			answer.fail(error, controller.signal.aborted);
		} finally {
			this.#controllers.delete(id);
			this.#store.setStream(id, null);
			this.#store.touchMessage(conversation, message);
			this.#store.save();
		}
	}

	/** Asks; when the server wants a key, asks the user for it and tries again. */
	async #ask(request) {
		for (let tries = 0; ; tries++) {
			try {
				return await this.#api.chat(request);
			} catch (error) {
				const wantsKey = error instanceof ApiError && error.status === 401;
				if (!wantsKey || request.signal.aborted || !(await this.#askForKey(tries > 0))) throw error;
			}
		}
	}
}

/** What is said aloud when an answer enters a phase; the page shows more of it. */
const SPOKEN = { queue: 'Waiting in line.', load: 'Loading the model.' };

/** One answer on its way: lines in, changes of its message and of its phase out. */
class Answer {
	#message;
	#setPhase;
	#phase = 'waiting';
	#thinkingSince = 0;

	constructor(message, setPhase) {
		this.#message = message;
		this.#setPhase = setPhase;
	}

	take(line) {
		if (line.queue) this.#enter('queue', line.queue.position);
		else if (line.load) this.#enter('load', line.load.seconds);
		if (line.message?.thinking) this.#think(line.message.thinking);
		if (line.message?.content) this.#write(line.message.content);
		if (typeof line.model === 'string') this.#message.model = line.model;
	}

	#think(text) {
		this.#thinkingSince ||= Date.now();
		this.#message.thinking = (this.#message.thinking ?? '') + text;
		if (this.#phase !== 'writing') this.#enter('thinking');
	}

	#write(text) {
		if (this.#phase === 'thinking') {
			const seconds = Math.round((Date.now() - this.#thinkingSince) / 1000);
			this.#message.thinkingSeconds = Math.max(1, seconds);
		}
		this.#message.content += text;
		this.#enter('writing');
	}

	#enter(phase, detail) {
		if (phase === this.#phase && detail === undefined) return;
		if (phase !== this.#phase && SPOKEN[phase]) announce(SPOKEN[phase]);
		this.#phase = phase;
		this.#setPhase({ phase, detail });
	}

	finish(last) {
		delete this.#message.status;
		if (last.eval_count > 0 && last.eval_duration > 0) {
			this.#message.tokens = last.eval_count;
			this.#message.tokensPerSecond = Math.round((last.eval_count / last.eval_duration) * 1e10) / 10;
		}
		if (last.done_reason === 'length') this.#message.cutShort = true;
	}

	fail(error, stopped) {
		const message = this.#message;
		if (stopped) {
			message.status = 'stopped';
			announce('Stopped.');
			return;
		}
		if (!(error instanceof ApiError)) console.error(error);
		const text = error instanceof ApiError ? error.message : 'Something went wrong in this page. Please try again.';
		if (error.retryAfter > 0) message.retryAt = Date.now() + error.retryAfter * 1000;
		if (message.content === '') {
			message.isError = true;
			message.content = text;
			delete message.status;
		} else {
			message.status = 'interrupted';
			message.error = text;
		}
		announce(text);
	}
}

/** What the model is told of the conversation: what was really said, without error texts. */
function history(conversation) {
	return conversation.messages
		.filter(({ role, content, isError }) => ['user', 'assistant', 'system'].includes(role) && content !== '' && !isError)
		.map(({ role, content }) => ({ role, content }));
}
