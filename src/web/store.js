// The state of the page: conversations, which one is open, models, running answers. Views subscribe to topics; only this
// file writes chats to localStorage, and it merges with what other tabs wrote.

import { KEYS, readConversations, readText, setBrokenAside, writeConversations, writeText } from './storage.js';

const SAVE_SOON_MS = 200;
const SAVE_WHILE_STREAMING_MS = 1500;

/** Topics: list (conversations and titles), active, message (conversation, message), stream, models, problem. */
export class Store {
	conversations = [];
	activeId = null; // null: a new chat that is not stored yet
	models = { state: 'loading', list: [], default: null, error: '' };
	model = readText(KEYS.model);
	streams = new Map(); // conversation id -> { phase, detail }
	problem = null; // of the storage: null, 'full', 'off', 'unreadable'
	instance = null;

	#listeners = new Map();
	#dirty = new Set();
	#deleted = new Set();
	#timer = null;
	#lastId = 0;

	constructor() {
		const { list, broken } = readConversations();
		this.conversations = newestFirst(list.map(withoutRunning));
		if (broken) this.problem = setBrokenAside() ? 'unreadable' : 'off';
		window.addEventListener('storage', (event) => {
			if (event.key === KEYS.conversations || event.key === null) this.#takeFromOtherTab();
		});
		window.addEventListener('pagehide', () => this.save());
		document.addEventListener('visibilitychange', () => document.visibilityState === 'hidden' && this.save());
	}

	subscribe(topic, listener) {
		if (!this.#listeners.has(topic)) this.#listeners.set(topic, []);
		this.#listeners.get(topic).push(listener);
	}

	#emit(topic, ...what) {
		for (const listener of this.#listeners.get(topic) ?? []) listener(...what);
	}

	get active() {
		return this.find(this.activeId);
	}

	find(id) {
		return this.conversations.find((conversation) => conversation.id === id) ?? null;
	}

	/** Ids are times, as they were in the application before this one. */
	newId() {
		this.#lastId = Math.max(Date.now(), this.#lastId + 1);
		return String(this.#lastId);
	}

	// --- conversations ---

	open(id) {
		const found = this.find(id) ? id : null;
		if (found === this.activeId) return;
		this.activeId = found;
		this.#emit('active');
	}

	/** A conversation that begins with this text of the user's. */
	create(firstText) {
		const now = new Date().toISOString();
		const conversation = { id: this.newId(), title: titleFor(firstText), createdAt: now, updatedAt: now, messages: [] };
		this.conversations = [conversation, ...this.conversations];
		this.activeId = conversation.id;
		this.#touch(conversation);
		this.#emit('list');
		this.#emit('active');
		return conversation;
	}

	rename(id, title) {
		const conversation = this.find(id);
		const text = title.trim();
		if (!conversation || text === '' || text === conversation.title) return;
		conversation.title = text;
		this.#dirty.add(id);
		this.#saveIn(SAVE_SOON_MS);
		this.#emit('list');
	}

	/** Returns what restore() needs to undo it. */
	remove(id) {
		const conversation = this.find(id);
		if (!conversation) return null;
		this.conversations = this.conversations.filter((other) => other !== conversation);
		this.#deleted.add(id);
		this.#dirty.delete(id);
		if (this.activeId === id) this.open(null);
		this.save();
		this.#emit('list');
		return conversation;
	}

	restore(conversation) {
		this.#deleted.delete(conversation.id);
		this.conversations = newestFirst([conversation, ...this.conversations]);
		this.#dirty.add(conversation.id);
		this.save();
		this.#emit('list');
	}

	addMessage(conversation, message) {
		const full = { id: this.newId(), timestamp: new Date().toISOString(), ...message };
		conversation.messages.push(full);
		conversation.updatedAt = full.timestamp;
		this.conversations = newestFirst(this.conversations);
		this.#touch(conversation);
		this.#emit('list');
		this.#emit('message', conversation, full);
		return full;
	}

	/** The message has changed in place. */
	touchMessage(conversation, message) {
		conversation.updatedAt = new Date().toISOString();
		this.#touch(conversation);
		this.#emit('message', conversation, message);
	}

	removeMessage(conversation, message) {
		conversation.messages = conversation.messages.filter((other) => other !== message);
		this.#touch(conversation);
		this.#emit('message', conversation, null);
	}

	// --- running answers ---

	setStream(id, stream) {
		if (stream) this.streams.set(id, stream);
		else this.streams.delete(id);
		this.#emit('stream', id);
	}

	// --- models ---

	setModels(models) {
		this.models = { ...this.models, ...models };
		this.#emit('models');
	}

	setModel(name) {
		this.model = name;
		writeText(KEYS.model, name);
		this.#emit('models');
	}

	/** The chosen model if it is still there, else the server's choice, else the first. */
	get currentModel() {
		const names = this.models.list.map((model) => model.name);
		if (names.length === 0) return this.model;
		return [this.model, this.models.default].find((name) => names.includes(name)) ?? names[0];
	}

	// --- saving ---

	#touch(conversation) {
		this.#dirty.add(conversation.id);
		this.#saveIn(this.streams.has(conversation.id) ? SAVE_WHILE_STREAMING_MS : SAVE_SOON_MS);
	}

	#saveIn(ms) {
		this.#timer ??= setTimeout(() => this.save(), ms);
	}

	/** Writes what changed here into what is stored, which another tab may have changed meanwhile. */
	save() {
		clearTimeout(this.#timer);
		this.#timer = null;
		if (this.#dirty.size === 0 && this.#deleted.size === 0) return;
		const stored = readConversations().list.filter(({ id }) => !this.#deleted.has(id) && !this.#dirty.has(id));
		const mine = this.conversations.filter(({ id }) => this.#dirty.has(id));
		const kept = writeConversations(newestFirst([...mine, ...stored]));
		if (kept) this.#dirty = new Set([...this.#dirty].filter((id) => this.streams.has(id)));
		this.#setProblem(kept ? null : storageWorks() ? 'full' : 'off');
	}

	#setProblem(problem) {
		if (problem === this.problem || (problem === null && this.problem === 'unreadable')) return;
		this.problem = problem;
		this.#emit('problem');
	}

	dismissProblem() {
		this.problem = null;
		this.#emit('problem');
	}

	#takeFromOtherTab() {
		const { list, broken } = readConversations();
		if (broken) return;
		const isMine = (id) => this.#dirty.has(id) || this.streams.has(id);
		const theirs = list.filter(({ id }) => !isMine(id) && !this.#deleted.has(id)).map((other) => {
			const old = this.find(other.id);
			return old && old.updatedAt === other.updatedAt && old.title === other.title ? old : other;
		});
		this.conversations = newestFirst([...this.conversations.filter(({ id }) => isMine(id)), ...theirs]);
		this.#emit('list');
		if (this.activeId !== null && !this.active) this.activeId = null;
		this.#emit('active');
	}
}

function newestFirst(list) {
	return [...list].sort((a, b) => (a.updatedAt < b.updatedAt ? 1 : a.updatedAt > b.updatedAt ? -1 : 0));
}

/** An answer that was being written when the page was closed will not go on. */
function withoutRunning(conversation) {
	const messages = conversation.messages.map((message) => (
		message.status === 'streaming' ? { ...message, status: 'interrupted' } : message));
	return { ...conversation, messages };
}

/** As in the application before this one: the first 30 characters. */
export function titleFor(text) {
	const characters = Array.from(text.trim().replace(/\s+/g, ' '));
	return characters.slice(0, 30).join('') + (characters.length > 30 ? '...' : '');
}

function storageWorks() {
	return writeText('ollachat-probe', '1') && writeText('ollachat-probe', null);
}
