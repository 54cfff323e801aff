"""First names of the languages that tickets most often come in: evidence where a line or a phrase alone is not enough.

Names that are common words or places too (April, Mark, Rose, Paris) are left out on purpose: a customer's word that
is lost costs more than a name that stays after a phrase which other rules know.
"""

from __future__ import annotations

_NAMES = """
    aaron adam adrian ahmed aisha alan albert alberto alejandro alessandro alessia alex alexander alexandra
    alfred alice alicia alina alison amanda amelia amy ana anastasia andre andrea andreas andrés andrew angela
    anita anja ann anna anne annette antje antoine anton antonio anthony arthur astrid ben benjamin bernd bianca
    birgit björn brian bruno camille carla carlos carmen carol caroline catherine cecilia celia charles
    charlotte chiara chloe chloé chris christian christina christine christoph christopher claire clara claudia
    claudio clément cristina dana daniel daniela danielle david deborah denise dennis derek diana diego dieter
    dirk dmitri dominik donald dora doris dorothea dylan eduardo edward elena eleanor elias elisa elisabeth
    elizabeth ella ellen élodie emil emilia emilie emily emma emmanuel enrique eric erik erika ernesto esther
    ethan eva evelyn fabian fatima federico felipe felix ferdinand fernando filip filipe finn florian francesca
    francesco francisco franz françois franziska frederik fritz gabriel gabriela gabriele george georg gerard
    gerhard giorgia giovanni giulia giuseppe gonzalo gregor guido guillaume gustavo hannah hanna hans harald
    harry heather heike heinz helen helena helga hélène henri henry hugo ian ibrahim ines inès ingrid irene
    irina isabel isabella isabelle ivan jacob jacques james jan jana jane janet jasmin jason javier jean jeff
    jennifer jeremy jessica joachim joan joana joão joana john johan johanna johannes jonas jonathan jorge josé
    josef joseph josephine juan juana judith jürgen julia julian juliane julie julien karen karin karl karolina
    katharina katherine kathrin katja kate kathy kees keith kelly kevin kim klaus kofi konrad kurt lara larissa
    larry lars laura laurent lea léa lena leo leon leonie leonardo linda lisa liam lola lorenzo lotte louis
    louise lucas lucía lucia luca ludwig luigi luis luisa lukas luke magdalena manfred manon manuel manuela marc
    marcel marcela marco marcos margaret maria maría marian marianne marie marina mario marion marlene marta
    martha martin martina mary mateo mathieu mathilde matteo matthew matthias maurice max maximilian mehmet
    melanie melissa mia michael michaela michel michele michelle miguel mike mila mohamed mohammed monica monika
    monique moritz nadia nadine nancy natalia natalie nathalie nathan nicholas nicolas nicole niklas nina noah
    nora norbert olaf oliver olivia olga omar oscar pablo paola paolo patricia patrick paul paula paulo pedro
    peter petra philip philipp philippe pierre pieter priya quentin quinn rachel rafael ralf ramón raphael raúl
    rebecca regina renate ricardo richard rita robert roberto robin roger roland roman rosa rosie rudolf ruth
    ryan sabine sabrina salma sam samantha samuel sandra sanne sara sarah sascha scott sean sebastian sergio
    sébastien silke silvia simon simone sofia sofía sonia sonja sophia sophie stefan stefanie steffen stephan
    stephanie stéphane steven stuart susan susana susanne sven sylvia sylvie tamara tanja tara teresa théo
    theresa thomas tiago tim timo timothy tina tobias tom tomás tommaso tony torsten tristan ulrich ulrike umar
    ursula ute valentina valeria valérie vanessa vera véronique veronika vicente victor victoria viktor vincent
    vincenzo walter wendy werner wilhelm william willem wolfgang xavier xenia yannick yara yasmin yolanda yusuf
    yves zahra zoe zoé beatriz bárbara inês luís mariana rui catarina rodrigo anke bram daan femke joost jeroen
    maaike marieke sander thijs wouter bart
"""
FIRST_NAMES = frozenset(_NAMES.split())
