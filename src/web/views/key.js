// Asks for the access key that some servers want, and keeps it in this browser.

import { h } from '../dom.js';
import { KEYS, readText, writeText } from '../storage.js';
import { createDialog } from './dialog.js';

/** Returns askForKey(wasRefused): a promise of whether the user gave a key. Callers at the same time share one dialog. */
export function createKeyDialog() {
	const input = h('input', {
		type: 'password', id: 'key-input', class: 'field', autocomplete: 'off', autocapitalize: 'off', spellcheck: 'false',
	});
	const problem = h('p', { class: 'field-problem', role: 'alert' });
	const form = h('form', { class: 'dialog-form' },
		h('p', {}, 'This server asks for an access key. You get it from whoever runs the server. It is kept in this browser only.'),
		h('label', { for: 'key-input' }, 'Access key'), input, problem,
		h('div', { class: 'dialog-buttons' }, h('button', { type: 'submit', class: 'button primary' }, 'Continue')));
	const dialog = createDialog('Access key', form);
	let asked = null;

	form.addEventListener('submit', (event) => {
		event.preventDefault();
		const key = input.value.trim();
		if (key === '') return;
		if (!/^[\x21-\x7e]+$/.test(key)) {
			problem.textContent = 'A key has no spaces and no special letters.';
			return;
		}
		if (!writeText(KEYS.apiKey, key)) {
			problem.textContent = 'This browser does not let the page keep the key.';
			return;
		}
		dialog.close('given');
	});

	const open = (wasRefused) => new Promise((resolve) => {
		problem.textContent = wasRefused || readText(KEYS.apiKey) ? 'The server did not accept this key.' : '';
		input.value = '';
		dialog.returnValue = '';
		dialog.addEventListener('close', () => resolve(dialog.returnValue === 'given'), { once: true });
		dialog.showModal();
		input.focus();
	});

	return (wasRefused) => {
		asked ??= open(wasRefused).finally(() => {
			asked = null;
		});
		return asked;
	};
}
