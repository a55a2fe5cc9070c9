// The box where the user writes: grows with its text, sends on Enter, stops a running answer.

import { byId, isTouch } from '../dom.js';

export function mountComposer(store, chat) {
	const form = byId('composer');
	const input = byId('input');
	const send = byId('send');
	const drafts = new Map(); // conversation id (or null) -> text not sent yet
	let shown = store.activeId;

	const isRunning = () => store.activeId !== null && chat.isRunning(store.activeId);

	const resize = () => {
		input.style.height = 'auto';
		input.style.height = `${input.scrollHeight}px`;
	};
	const render = () => {
		const running = isRunning();
		send.disabled = !running && input.value.trim() === '';
		send.dataset.does = running ? 'stop' : 'send';
		send.setAttribute('aria-label', running ? 'Stop' : 'Send');
		send.title = running ? 'Stop' : 'Send';
		send.querySelector('use').setAttribute('href', running ? '#icon-stop' : '#icon-send');
	};
	const setText = (text) => {
		input.value = text;
		resize();
		render();
	};
	const submit = () => {
		const text = input.value.trim();
		if (text === '' || isRunning()) return;
		setText('');
		chat.send(text);
	};

	form.addEventListener('submit', (event) => {
		event.preventDefault();
		if (isRunning()) chat.stop(store.activeId);
		else submit();
	});
	form.addEventListener('pointerdown', (event) => {
		if (event.target !== form) return;
		event.preventDefault();
		input.focus();
	});
	input.addEventListener('input', () => {
		resize();
		render();
	});
	input.addEventListener('keydown', (event) => {
		// 229: Safari ends a composition before it reports the Enter that ended it.
		if (event.key !== 'Enter' || event.shiftKey || event.isComposing || event.keyCode === 229) return;
		event.preventDefault();
		submit();
	});
	store.subscribe('active', () => {
		if (shown !== store.activeId) {
			drafts.set(shown, input.value);
			shown = store.activeId;
			setText(drafts.get(shown) ?? '');
		}
		render();
	});
	store.subscribe('stream', render);
	render();
	if (!isTouch()) input.focus();

	return {
		focus() {
			if (!isTouch()) input.focus();
		},
		fill(text) {
			setText(text);
			input.focus();
			input.setSelectionRange(text.length, text.length);
		},
	};
}
