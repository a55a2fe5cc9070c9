// The messages of the open conversation, and the scrolling: it follows the answer only while the reader is at the end.

import { byId } from '../dom.js';
import { MessageView } from './message.js';

const NEAR_END = 32;

export function mountThread(store, chat, composer) {
	const thread = byId('thread');
	const scroll = mountScroll(byId('scroller'), byId('jump'));
	const views = new Map(); // message id -> MessageView
	let shownId = null;

	const actions = {
		again() {
			chat.again(store.active);
			composer.focus(); // the button that was pressed is gone
		},
	};

	const render = () => {
		const conversation = store.active;
		const switched = shownId !== store.activeId;
		if (switched) clear();
		shownId = store.activeId;
		const messages = conversation?.messages ?? [];
		for (const [id, view] of views) {
			if (!messages.some((message) => message.id === id)) drop(id, view);
		}
		messages.forEach((message, i) => show(conversation, message, i === messages.length - 1));
		if (switched) scroll.toEnd();
		else scroll.follow();
	};
	const show = (conversation, message, isLast) => {
		let view = views.get(message.id);
		if (!view) {
			view = new MessageView(message, actions, scroll.follow);
			views.set(message.id, view);
			thread.append(view.node);
		}
		view.update(message, { isLast, stream: isLast ? store.streams.get(conversation.id) : null });
	};
	const drop = (id, view) => {
		view.dispose();
		views.delete(id);
	};
	const clear = () => {
		for (const [id, view] of views) drop(id, view);
	};

	store.subscribe('active', render);
	store.subscribe('message', (conversation, message) => {
		if (conversation.id !== store.activeId) return;
		const isNew = message && !views.has(message.id);
		if (!isNew && message && message === conversation.messages.at(-1)) show(conversation, message, true);
		else render();
		if (isNew && message.role === 'user') scroll.toEnd();
	});
	store.subscribe('stream', (id) => {
		const last = store.active?.messages.at(-1);
		if (id === store.activeId && last && views.has(last.id)) show(store.active, last, true);
	});
	render();
}

function mountScroll(scroller, jump) {
	let pinned = true;
	let lastTop = 0;

	const distance = () => scroller.scrollHeight - scroller.clientHeight - scroller.scrollTop;
	const render = () => {
		jump.hidden = pinned || distance() < NEAR_END;
	};
	const toEnd = () => {
		pinned = true;
		scroller.scrollTop = scroller.scrollHeight;
		render();
	};
	const follow = () => {
		if (pinned) scroller.scrollTop = scroller.scrollHeight;
		render();
	};
	scroller.addEventListener('scroll', () => {
		const left = distance();
		if (scroller.scrollTop < lastTop && left > 4) pinned = false;
		else if (left < NEAR_END) pinned = true;
		lastTop = scroller.scrollTop;
		render();
	}, { passive: true });
	jump.addEventListener('click', () => {
		scroller.focus({ preventScroll: true });
		toEnd();
	});
	// The box below grows with its text, a phone's keyboard opens: stay at the end if that is where we are.
	new ResizeObserver(follow).observe(scroller);
	return { toEnd, follow };
}
