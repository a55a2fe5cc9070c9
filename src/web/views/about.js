// The About panel: what this is, which version, who answered, where data is.

import { byId, h } from '../dom.js';
import { KEYS, readText, writeText } from '../storage.js';
import { shortName } from '../models.js';
import { createDialog } from './dialog.js';
import { toast } from './toast.js';

const WORDS = 'A chat page for the models on your own server. Your chats are stored in this browser and nowhere else; '
	+ 'the server keeps none of them.';

export function mountAbout(store, version) {
	const licences = document.querySelector('meta[name="licences"]').content;
	const facts = h('dl', { class: 'about-facts' });
	const forget = h('button', { type: 'button', class: 'button' }, 'Forget the access key');
	const dialog = createDialog('About',
		h('p', {}, WORDS),
		facts,
		h('p', { class: 'about-licences' },
			h('a', { href: licences, target: '_blank', rel: 'noopener' }, 'Licences of the libraries in this page')),
		h('div', { class: 'dialog-buttons' }, forget));

	forget.addEventListener('click', () => {
		writeText(KEYS.apiKey, null);
		dialog.close();
		toast('The access key is forgotten.');
	});
	byId('about').addEventListener('click', () => {
		forget.hidden = readText(KEYS.apiKey) === null;
		facts.replaceChildren(...[
			['Version', version],
			['Model', store.models.state === 'ready' ? shortName(store.currentModel) : null],
			['Instance', store.instance],
			['Chats', String(store.conversations.length)],
		].filter(([, value]) => value).flatMap(([name, value]) => [h('dt', {}, name), h('dd', {}, value)]));
		dialog.showModal();
	});
}
